// JSON files: parsed with the position in errors, read key by key with the expected type.
#pragma once

#include <cstdint>
#include <filesystem>
#include <limits>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

namespace expunge {

/// Limits of one JSON text. They bound memory: each value takes at most 200 bytes beside its text.
inline constexpr int kJsonDepth = 64;
inline constexpr std::size_t kJsonValues = std::size_t{1} << 22;

/// Limits of a text, and the members to keep.
struct JsonRules {
  int deepest = kJsonDepth;
  std::vector<std::string> wanted = {};  ///< members of the outermost object to keep; empty: all
};

/// Parses `text` in time and memory linear in its size. `where` (a file, or file and line) starts the message of errors.
/// Throws Error(bad_input) for text that is not JSON, exceeds a limit or repeats a key in one object.
nlohmann::json parse_json(std::string_view text, const std::string& where, const JsonRules& rules = {});
nlohmann::json parse_json_file(const std::filesystem::path& path, std::uint64_t max_bytes, const JsonRules& rules = {});
/// The same with keys in the order of the text. The library's own parser would search all keys for each new key.
nlohmann::ordered_json parse_ordered_json(std::string_view text, const std::string& where);
/// Adds a member with a new key. The library's own operator would search all keys.
void append_member(nlohmann::ordered_json& object, std::string key, nlohmann::ordered_json value);
/// Describes the fault in `text`, with an excerpt of its place.
std::string describe_json_error(const nlohmann::json::exception& error, std::string_view text);

/// A value for an error message: its JSON text, shortened.
std::string json_excerpt(const nlohmann::json& value);

/// A JSON object read key by key. Each reader throws Error(bad_input) that names the file, the key, the expected and the
/// found value. A null counts as absent; the `_or` forms return `fallback` for an absent key.
class JsonObject {
 public:
  static constexpr std::int64_t kMax = std::numeric_limits<std::int64_t>::max();

  /// Throws Error(bad_input) unless `value` is an object.
  JsonObject(nlohmann::json value, std::string where);

  const nlohmann::json& value() const { return value_; }
  const std::string& where() const { return where_; }
  std::vector<std::string> keys() const;
  bool has(const std::string& key) const;
  /// The value, of any type.
  const nlohmann::json& at(const std::string& key) const;
  std::string string(const std::string& key) const;
  bool boolean(const std::string& key) const;
  double number(const std::string& key) const;
  std::int64_t integer(const std::string& key, std::int64_t least, std::int64_t most = kMax) const;
  std::string string_or(const std::string& key, const std::string& fallback) const;
  bool boolean_or(const std::string& key, bool fallback) const;
  double number_or(const std::string& key, double fallback) const;
  std::int64_t integer_or(const std::string& key, std::int64_t fallback, std::int64_t least, std::int64_t most = kMax) const;
  /// Throws the error for a value that is not as expected ("a list of two numbers").
  [[noreturn]] void wrong(const std::string& key, const std::string& expected) const;

 private:
  nlohmann::json value_;
  std::string where_;
};

}  // namespace expunge
