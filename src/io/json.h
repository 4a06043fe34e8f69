// JSON files: parsed with position in the error, read key by key with the expected kind of value.
#pragma once

#include <cstdint>
#include <filesystem>
#include <limits>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

namespace expunge {

/// Limits of one JSON text. They bound the memory of its values: at most 200 bytes each beside the text's own.
inline constexpr int kJsonDepth = 64;
inline constexpr std::size_t kJsonValues = std::size_t{1} << 22;

/// What a text may hold, and what is kept of it.
struct JsonRules {
  int deepest = kJsonDepth;
  std::vector<std::string> wanted = {};  ///< members of the outermost object that are kept; all where empty
};

/// Parses `text` in time and memory that grow with its size. `where` (a file, or file and line) begins the message of the
/// Error(bad_input) for a text that is not JSON, has a key twice in one object, on whose value readers differ, or exceeds a
/// limit.
nlohmann::json parse_json(std::string_view text, const std::string& where, const JsonRules& rules = {});
nlohmann::json parse_json_file(const std::filesystem::path& path, std::uint64_t max_bytes, const JsonRules& rules = {});
/// The same with keys in the order of the text: the library's own parser searches them all for each key.
nlohmann::ordered_json parse_ordered_json(std::string_view text, const std::string& where);
/// Adds a member whose key `object` does not have yet. The library's own operator searches all keys.
void append_member(nlohmann::ordered_json& object, std::string key, nlohmann::ordered_json value);
/// What is wrong with `text`, and an excerpt of the place.
std::string describe_json_error(const nlohmann::json::exception& error, std::string_view text);

/// A value for an error message: its JSON text, shortened.
std::string json_excerpt(const nlohmann::json& value);

/// A JSON object read key by key. Each reader throws Error(bad_input) that names the file, the key, what was expected and what
/// was found; a null counts as absent; the `_or` forms return `fallback` where the key is absent.
class JsonObject {
 public:
  static constexpr std::int64_t kMax = std::numeric_limits<std::int64_t>::max();

  /// Throws Error(bad_input) unless `value` is an object.
  JsonObject(nlohmann::json value, std::string where);

  const nlohmann::json& value() const { return value_; }
  const std::string& where() const { return where_; }
  std::vector<std::string> keys() const;
  bool has(const std::string& key) const;
  /// The value whatever its kind.
  const nlohmann::json& at(const std::string& key) const;
  std::string string(const std::string& key) const;
  bool boolean(const std::string& key) const;
  double number(const std::string& key) const;
  std::int64_t integer(const std::string& key, std::int64_t least, std::int64_t most = kMax) const;
  std::string string_or(const std::string& key, const std::string& fallback) const;
  bool boolean_or(const std::string& key, bool fallback) const;
  double number_or(const std::string& key, double fallback) const;
  std::int64_t integer_or(const std::string& key, std::int64_t fallback, std::int64_t least, std::int64_t most = kMax) const;
  /// Throws the error for a key whose value is not what was expected ("a list of two numbers").
  [[noreturn]] void wrong(const std::string& key, const std::string& expected) const;

 private:
  nlohmann::json value_;
  std::string where_;
};

}  // namespace expunge
