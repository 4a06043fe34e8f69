// Walking a double-array trie.
#include "data/charsmap.h"

#include <cstdint>
#include <cstring>
#include <string>

namespace expunge {
namespace {

constexpr std::size_t kLongest = 256;  // bytes that a rule replaces

/// The trie of the darts-clone library, which sentencepiece stores: units of 32 bits, children at offset XOR byte.
class Trie {
 public:
  explicit Trie(std::string_view bytes) : bytes_(bytes) {}

  /// False where a path has no end or units are shared: then it is no trie.
  bool visit(const std::function<void(std::string_view)>& key_found) {
    std::string key;
    return size() > 0 && walk(offset(unit(0)), key, key_found);
  }

 private:
  std::size_t size() const { return bytes_.size() / sizeof(std::uint32_t); }
  std::uint32_t unit(std::size_t i) const {
    std::uint32_t value;
    std::memcpy(&value, bytes_.data() + i * sizeof(value), sizeof(value));  // little-endian, as every machine this builds on
    return value;
  }
  static std::size_t offset(std::uint32_t unit) { return std::size_t{unit >> 10} << ((unit & (1u << 9)) >> 6); }

  bool walk(std::size_t place, std::string& key, const std::function<void(std::string_view)>& key_found) {
    if (key.size() == kLongest) return false;
    for (unsigned byte = 1; byte < 256; ++byte) {
      const std::size_t child = place ^ byte;
      if (child >= size() || (unit(child) & (1u << 31 | 0xffu)) != byte) continue;
      if (++visited_ > size()) return false;
      key.push_back(static_cast<char>(byte));
      constexpr std::uint32_t kIsKey = 1u << 8;
      if (unit(child) & kIsKey) key_found(key);
      if (!walk(child ^ offset(unit(child)), key, key_found)) return false;
      key.pop_back();
    }
    return true;
  }

  std::string_view bytes_;
  std::size_t visited_ = 0;
};

}  // namespace

bool for_each_rule(std::string_view charsmap, const std::function<void(std::string_view replaced)>& visit) {
  std::uint32_t trie_bytes = 0;  // then the trie, then what the rules put in
  if (charsmap.size() <= sizeof(trie_bytes)) return false;
  std::memcpy(&trie_bytes, charsmap.data(), sizeof(trie_bytes));
  charsmap.remove_prefix(sizeof(trie_bytes));
  return trie_bytes < charsmap.size() && Trie(charsmap.substr(0, trie_bytes)).visit(visit);
}

}  // namespace expunge
