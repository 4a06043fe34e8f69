// UTF-8 validation, and excerpts of text for messages.
#include "core/text.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <charconv>
#include <system_error>

namespace expunge {
namespace {

/// Length of the UTF-8 character at the front of `text`; 0 if there is no valid one (RFC 3629, section 4).
std::size_t character_length(std::string_view text) {
  const auto byte = [&](std::size_t i) { return i < text.size() ? static_cast<unsigned char>(text[i]) : 0u; };
  const auto continues = [&](std::size_t i) { return (byte(i) & 0xc0u) == 0x80u; };
  const unsigned lead = byte(0), second = byte(1);
  if (lead < 0x80) return 1;
  if (lead >= 0xc2 && lead <= 0xdf) return continues(1) ? 2 : 0;
  if (lead >= 0xe0 && lead <= 0xef) {
    const bool good = continues(1) && (lead != 0xe0 || second >= 0xa0) && (lead != 0xed || second <= 0x9f);
    return good && continues(2) ? 3 : 0;
  }
  if (lead >= 0xf0 && lead <= 0xf4) {
    const bool good = continues(1) && (lead != 0xf0 || second >= 0x90) && (lead != 0xf4 || second <= 0x8f);
    return good && continues(2) && continues(3) ? 4 : 0;
  }
  return 0;
}

/// Whether a character controls the terminal: U+0000 to U+001F and U+007F to U+009F.
bool is_control(std::string_view character) {
  const auto first = static_cast<unsigned char>(character[0]);
  return first < 0x20 || first == 0x7f || (first == 0xc2 && static_cast<unsigned char>(character[1]) < 0xa0);
}

}  // namespace

std::size_t valid_utf8_length(std::string_view text) {
  for (std::size_t i = 0; i < text.size();) {
    const std::size_t length = character_length(text.substr(i));
    if (length == 0) return i;
    i += length;
  }
  return text.size();
}

std::string in_small_letters(std::string text) {
  for (char& letter : text)
    if (letter >= 'A' && letter <= 'Z') letter = static_cast<char>(letter - 'A' + 'a');
  return text;
}

std::optional<std::int64_t> parse_whole(std::string_view text) {
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::string replace_all(std::string_view text, std::string_view from, std::string_view to) {
  std::string result;
  for (std::size_t begin = 0;;) {
    const std::size_t found = text.find(from, begin);
    result += text.substr(begin, found - begin);
    if (found == std::string_view::npos) return result;
    result += to;
    begin = found + from.size();
  }
}

std::string shell_word(const std::string& text) {
  const auto harmless = [](unsigned char c) {
    return std::isalnum(c) || std::string_view("_./:=@%+,-").find(static_cast<char>(c)) != std::string_view::npos;
  };
  if (!text.empty() && std::ranges::all_of(text, harmless)) return text;
  return "'" + replace_all(text, "'", "'\\''") + "'";
}

std::string excerpt(std::string_view text, std::size_t place) {
  constexpr std::size_t kBefore = 60, kMost = 80;
  std::size_t at = std::min(place, text.size());
  at -= std::min(at, kBefore);
  const std::size_t begin = text.size() <= kMost ? 0 : std::min(at, text.size() - kMost);
  const std::size_t end = std::min(begin + kMost, text.size());
  at = begin;
  // A cut must not split a character.
  while (begin > 0 && at < begin + 3 && (static_cast<unsigned char>(text[at]) & 0xc0u) == 0x80u) ++at;
  std::string shown = begin > 0 ? "..." : "";
  while (at < end) {
    const std::size_t length = character_length(text.substr(at));
    if (at + length > end) break;
    const std::string_view character = text.substr(at, std::max<std::size_t>(length, 1));
    if (length > 0 && !is_control(character))
      shown += character;
    else
      for (const char byte : character) shown += fmt::format("\\x{:02x}", static_cast<unsigned char>(byte));
    at += character.size();
  }
  return shown + (at < text.size() ? "..." : "");
}

std::string excerpt_list(const std::vector<std::string>& names) {
  constexpr std::size_t kMost = 12;
  std::string list;
  for (std::size_t i = 0; i < std::min(names.size(), kMost); ++i) list += (i > 0 ? ", " : "") + excerpt(names[i]);
  return list + (names.size() > kMost ? fmt::format(" and {} more", names.size() - kMost) : "");
}

}  // namespace expunge
