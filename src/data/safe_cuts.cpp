// Collects adjacent characters of pieces and rules, and finds safe cuts.
#include "data/safe_cuts.h"

#include <algorithm>
#include <utility>

#include "core/text.h"
#include "data/charsmap.h"

namespace expunge {
namespace {

constexpr Character kSpace = ' ', kUnderlineBytes = 0xe29681;  // U+2581, which replaces a space

std::uint64_t pair(Character before, Character after) { return std::uint64_t{before} << 32 | after; }

template <typename T>
void sort_once(std::vector<T>& values) {
  std::ranges::sort(values);
  values.erase(std::ranges::unique(values).begin(), values.end());
}

template <typename T>
bool holds(const std::vector<T>& sorted, T value) {
  return std::ranges::binary_search(sorted, value);
}

bool is_utf8(std::string_view text) { return valid_utf8_length(text) == text.size(); }

}  // namespace

SafeCuts::SafeCuts(const PieceModel& model, std::size_t longest_name)
    : possible_(model.kind != PieceModel::Kind::word && !model.whitespace_is_suffix && model.escapes_whitespace),
      byte_fallback_(model.byte_fallback),
      longest_name_(longest_name) {
  read_pieces(model);
  RuleCharacters rules = read_rule_characters(model.charsmap);
  possible_ = possible_ && rules.complete;
  in_rules_ = std::move(rules.all);
  ends_rules_ = std::move(rules.ends);
  sort_once(in_rules_);
  sort_once(ends_rules_);
}

void SafeCuts::read_pieces(const PieceModel& model) {
  for (const PieceModel::Piece& piece : model.pieces) {
    if (!piece.in_text()) continue;
    if (piece.text.empty() || !is_utf8(piece.text)) {
      possible_ = false;
      return;
    }
    const bool unused = piece.type == PieceModel::Type::unused;
    Character before = first_character(piece.text);
    std::string_view rest = piece.text.substr(character_size(piece.text));
    if (rest.empty() && !unused) known_.push_back(before);
    in_pieces_.push_back(before);
    // BPE splits an unused piece along its last merge, which depends on the whole text.
    if (!rest.empty() && unused && model.kind == PieceModel::Kind::bpe) possible_ = false;
    for (; !rest.empty(); rest.remove_prefix(character_size(rest))) {
      const Character after = first_character(rest);
      pairs_.push_back(pair(before, after));
      in_pieces_.push_back(after);
      before = after;
    }
  }
  sort_once(pairs_);
  sort_once(known_);
  sort_once(in_pieces_);
}

bool SafeCuts::is_unknown(Character character) const {
  return !byte_fallback_ && !holds(known_, character == kSpace ? kUnderlineBytes : character);
}

/// Whether a character is one unknown piece in any context.
bool SafeCuts::is_strange(Character character) const {
  return is_unknown(character) && !holds(in_pieces_, character) && !holds(in_rules_, character);
}

bool SafeCuts::separates(Character before, Character after) const {
  if (before == kSpace || before == kUnderlineBytes || holds(ends_rules_, before) || holds(in_rules_, after)) return false;
  return !holds(pairs_, pair(before, after)) && (after != kSpace || !holds(pairs_, pair(before, kUnderlineBytes)));
}

std::optional<std::size_t> SafeCuts::find(std::string_view text, std::size_t from, std::size_t until) const {
  if (!possible_) return std::nullopt;
  std::size_t begin = from - 1;  // of the character before the cut
  while (begin > 0 && (static_cast<unsigned char>(text[begin]) & 0xc0u) == 0x80u) --begin;
  std::size_t run = 0;  // bytes of strange characters up to there
  for (std::size_t at = begin + character_size(text.substr(begin)); at < until; at += character_size(text.substr(at))) {
    const Character before = first_character(text.substr(begin)), after = first_character(text.substr(at));
    run = is_strange(before) ? run + (at - begin) : 0;
    if (separates(before, after) && (run > longest_name_ || !is_unknown(before) || !is_unknown(after))) return at;
    begin = at;
  }
  return std::nullopt;
}

}  // namespace expunge
