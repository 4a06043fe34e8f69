// Walks the double-array trie of normalisation rules.
#include "data/charsmap.h"

#include <cstdint>
#include <cstring>

namespace expunge {
namespace {

/// The trie of the darts-clone library, in which sentencepiece stores rules: units of 32 bits, children at offset XOR byte.
/// Texts may share their ends, so a few units can hold very many texts; the walk leaves each position once.
class RuleTrie {
 public:
  RuleTrie(std::string_view bytes, RuleCharacters& characters)
      : bytes_(bytes), characters_(characters), left_(bytes.size() / sizeof(std::uint32_t)) {}

  void read() {
    if (left_.empty()) {
      characters_.complete = false;
      return;
    }
    // First the first characters of texts, then the following ones.
    read_character(offset(unit(0)), 0, 0, true);
    while (!open_.empty() && characters_.complete) {
      const std::size_t place = open_.back();
      open_.pop_back();
      read_character(place, 0, 0, false);
    }
  }

 private:
  static constexpr std::size_t kMostSteps = std::size_t{1} << 20;

  std::uint32_t unit(std::size_t i) const {
    std::uint32_t value;
    std::memcpy(&value, bytes_.data() + i * sizeof(value), sizeof(value));  // little-endian, as every supported machine
    return value;
  }
  static std::size_t offset(std::uint32_t unit) { return std::size_t{unit >> 10} << ((unit & (1u << 9)) >> 6); }

  /// Records every character after `place`. `so_far` holds its bytes read so far; `missing` bytes follow.
  void read_character(std::size_t place, Character so_far, std::size_t missing, bool first) {
    for (unsigned byte = 1; byte < 256; ++byte) {
      const std::size_t child = place ^ byte;
      if (child >= left_.size() || (unit(child) & (1u << 31 | 0xffu)) != byte) continue;
      const bool continues = byte >= 0x80 && byte < 0xc0;
      if (++steps_ > kMostSteps || continues != (missing > 0)) characters_.complete = false;
      if (!characters_.complete) return;
      take(child, so_far << 8 | byte, continues ? missing - 1 : character_size(static_cast<unsigned char>(byte)) - 1, first);
    }
  }

  void take(std::size_t child, Character character, std::size_t missing, bool first) {
    constexpr std::uint32_t kEndsText = 1u << 8;
    const std::size_t next = child ^ offset(unit(child));
    const bool ends = (unit(child) & kEndsText) != 0;
    if (missing > 0) {
      if (ends) characters_.complete = false;
      return read_character(next, character, missing, first);
    }
    characters_.all.push_back(character);
    if (!first || ends) characters_.ends.push_back(character);
    if (left_[child]) return;
    left_[child] = true;
    open_.push_back(next);
  }

  std::string_view bytes_;
  RuleCharacters& characters_;
  std::vector<bool> left_;         // by unit: its continuation is read or queued
  std::vector<std::size_t> open_;  // queued positions
  std::size_t steps_ = 0;
};

}  // namespace

RuleCharacters read_rule_characters(std::string_view charsmap) {
  RuleCharacters characters;
  if (charsmap.empty()) return characters;
  std::uint32_t trie_bytes = 0;  // followed by the trie, then the replacements
  characters.complete = charsmap.size() > sizeof(trie_bytes);
  if (!characters.complete) return characters;
  std::memcpy(&trie_bytes, charsmap.data(), sizeof(trie_bytes));
  charsmap.remove_prefix(sizeof(trie_bytes));
  characters.complete = trie_bytes < charsmap.size();
  if (characters.complete) RuleTrie(charsmap.substr(0, trie_bytes), characters).read();
  return characters;
}

}  // namespace expunge
