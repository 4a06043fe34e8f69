// Finds the longest added token at each position of a text.
#include "data/added_tokens.h"

#include <algorithm>
#include <array>
#include <tuple>
#include <utility>

namespace expunge {
namespace {

/// White space as Python's str.strip() sees it, in UTF-8.
constexpr std::array<std::string_view, 29> kSpaces = {
    " ",      "\t",     "\n",     "\v",     "\f",     "\r",     "\x1c",   "\x1d",   "\x1e",   "\x1f",
    "\u0085", "\u00a0", "\u1680", "\u2000", "\u2001", "\u2002", "\u2003", "\u2004", "\u2005", "\u2006",
    "\u2007", "\u2008", "\u2009", "\u200a", "\u2028", "\u2029", "\u202f", "\u205f", "\u3000"};

void strip_left(std::string& text) {
  std::size_t begin = 0;
  const auto is_prefix = [&](std::string_view space) { return std::string_view(text).substr(begin).starts_with(space); };
  for (auto it = kSpaces.begin(); (it = std::find_if(kSpaces.begin(), kSpaces.end(), is_prefix)) != kSpaces.end();) {
    begin += it->size();
  }
  text.erase(0, begin);
}

void strip_right(std::string& text) {
  const auto is_suffix = [&](std::string_view space) { return text.ends_with(space); };
  for (auto it = kSpaces.begin(); (it = std::find_if(kSpaces.begin(), kSpaces.end(), is_suffix)) != kSpaces.end();) {
    text.resize(text.size() - it->size());
  }
}

/// Applies a token's flags to the adjacent text.
void strip_around(const AddedToken& token, std::string& left, std::string& part, std::string& right) {
  const bool beside_left = !left.empty() && left.back() != ' ', beside_right = !right.empty() && right.front() != ' ';
  if (token.rstrip) strip_left(right);
  if (token.lstrip) strip_right(left);
  if (token.single_word && beside_left) {
    left += part;
    part.clear();
  } else if (token.single_word && beside_right) {
    right.insert(0, part);
    part.clear();
  }
}

}  // namespace

AddedTokens::AddedTokens(const std::map<std::int32_t, AddedToken>& added) {
  for (const auto& [id, token] : added) {
    by_text_[token.content] = &token;
    if (token.content.empty()) continue;
    sorted_.push_back(token.content);
    begins_[static_cast<unsigned char>(token.content[0])] = true;
    longest_ = std::max(longest_, token.content.size());
  }
  std::ranges::sort(sorted_);
}

const AddedToken* AddedTokens::exactly(const std::string& text) const {
  const auto found = by_text_.find(text);
  return found == by_text_.end() ? nullptr : found->second;
}

std::string_view AddedTokens::at_front_of(std::string_view text) const {
  std::string_view longest;
  if (!begins_[static_cast<unsigned char>(text.front())]) return longest;
  auto low = sorted_.begin(), high = sorted_.end();
  for (std::size_t size = 0; low != high; ++size) {
    // The remaining candidates share their first `size` bytes with the text; the shortest comes first.
    if (size > 0 && low->size() == size) longest = *low++;
    if (high - low == 1 && text.starts_with(*low)) return *low;
    if (size == text.size() || high - low < 2) break;
    const auto byte = [&](std::string_view token) { return static_cast<unsigned char>(token[size]); };
    const auto next = static_cast<unsigned char>(text[size]);
    std::tie(low, high) =
        std::pair(std::ranges::lower_bound(low, high, next, {}, byte), std::ranges::upper_bound(low, high, next, {}, byte));
  }
  return longest;
}

TextParts::TextParts(const AddedTokens& tokens, std::string_view text, bool whole)
    : tokens_(tokens), rest_(text), whole_(whole), current_(take()) {}

/// The next part, unchanged.
std::optional<std::string> TextParts::take() {
  if (rest_.empty()) return std::nullopt;
  std::size_t size = whole_ ? rest_.size() : tokens_.at_front_of(rest_).size();
  if (size == 0)
    for (size = 1; size < rest_.size() && tokens_.at_front_of(rest_.substr(size)).empty();) ++size;
  const std::string_view part = rest_.substr(0, size);
  rest_.remove_prefix(size);
  return std::string(part);
}

bool TextParts::next(std::string& part) {
  while (current_) {
    std::optional<std::string> following = take();
    std::string none_before, none_behind;
    if (const AddedToken* const token = tokens_.exactly(*current_))
      strip_around(*token, done_ ? *done_ : none_before, *current_, following ? *following : none_behind);
    const bool ready = done_.has_value();
    if (ready) part = std::move(*done_);
    done_ = std::exchange(current_, std::move(following));
    if (ready) return true;
  }
  if (!done_) return false;
  part = std::move(*done_);
  done_.reset();
  return true;
}

}  // namespace expunge
