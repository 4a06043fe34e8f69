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

/// Parses `text`; `where` (a file, or file and line) begins the message of the Error(bad_input).
nlohmann::json parse_json(std::string_view text, const std::string& where);
nlohmann::json parse_json_file(const std::filesystem::path& path, std::uint64_t max_bytes);
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
