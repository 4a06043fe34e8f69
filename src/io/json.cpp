// JSON with errors that name the file, the place and the fault.
#include "io/json.h"

#include <fmt/format.h>

#include "core/text.h"
#include "expunge/error.h"
#include "io/content_kind.h"
#include "io/files.h"
#include "io/json_builder.h"

namespace expunge {

using nlohmann::json;

json parse_json(std::string_view text, const std::string& where, const JsonRules& rules) {
  JsonBuilder<json> builder(text, where, rules);
  json::sax_parse(text, &builder);
  return builder.take();
}

nlohmann::ordered_json parse_ordered_json(std::string_view text, const std::string& where) {
  const JsonRules rules;
  JsonBuilder<nlohmann::ordered_json> builder(text, where, rules);
  nlohmann::ordered_json::sax_parse(text, &builder);
  return builder.take();
}

void append_member(nlohmann::ordered_json& object, std::string key, nlohmann::ordered_json value) {
  object.get_ref<nlohmann::ordered_json::object_t&>().emplace_back(std::move(key), std::move(value));
}

std::string describe_json_error(const json::exception& error, std::string_view text) {
  std::string what = error.what();
  if (const auto end = what.find("] "); what.starts_with('[') && end != std::string::npos) what.erase(0, end + 2);
  const auto* const syntax = dynamic_cast<const json::parse_error*>(&error);
  if (!syntax) return excerpt(what);
  // `where` already names the line of a one-line text.
  if (const auto first = what.find("line 1, "); first != std::string::npos && text.find('\n') == std::string_view::npos)
    what.erase(first, std::string_view("line 1, ").size());
  // The library repeats the whole unreadable token; keep only the part before it.
  return fmt::format("{}, near '{}'", what.substr(0, what.find("; last read: ")), excerpt(text, syntax->byte));
}

json parse_json_file(const std::filesystem::path& path, std::uint64_t max_bytes, const JsonRules& rules) {
  const std::string text = read_file(path, max_bytes);
  try {
    return parse_json(text, path.string(), rules);
  } catch (const Error&) {
    refuse_mistaken(path);
    throw;
  }
}

std::string json_excerpt(const json& value) {
  constexpr std::size_t kLongest = 60;
  std::string text = value.dump(-1, ' ', true, json::error_handler_t::replace);
  if (text.size() > kLongest) text = text.substr(0, kLongest) + "...";
  return text;
}

JsonObject::JsonObject(json value, std::string where) : value_(std::move(value)), where_(std::move(where)) {
  if (!value_.is_object()) {
    fail(ExitCode::bad_input, fmt::format("{}: expected a JSON object, found {}", where_, json_excerpt(value_)));
  }
}

std::vector<std::string> JsonObject::keys() const {
  std::vector<std::string> keys;
  for (const auto& [key, value] : value_.items()) keys.push_back(key);
  return keys;
}

bool JsonObject::has(const std::string& key) const {
  const auto found = value_.find(key);
  return found != value_.end() && !found->is_null();
}

const json& JsonObject::at(const std::string& key) const {
  if (!has(key))
    fail(ExitCode::bad_input,
         fmt::format("{}: key '{}' is {}", where_, excerpt(key), value_.contains(key) ? "null" : "missing"));
  return value_.at(key);
}

void JsonObject::wrong(const std::string& key, const std::string& expected) const {
  fail(ExitCode::bad_input,
       fmt::format("{}: key '{}': expected {}, found {}", where_, excerpt(key), expected, json_excerpt(at(key))));
}

std::string JsonObject::string(const std::string& key) const {
  if (!at(key).is_string()) wrong(key, "a string");
  return at(key).get<std::string>();
}

bool JsonObject::boolean(const std::string& key) const {
  if (!at(key).is_boolean()) wrong(key, "true or false");
  return at(key).get<bool>();
}

double JsonObject::number(const std::string& key) const {
  if (!at(key).is_number()) wrong(key, "a number");
  return at(key).get<double>();
}

std::int64_t JsonObject::integer(const std::string& key, std::int64_t least, std::int64_t most) const {
  const json& found = at(key);
  const bool too_large = found.is_number_unsigned() && found.get<std::uint64_t>() > static_cast<std::uint64_t>(kMax);
  if (found.is_number_integer() && !too_large) {
    const auto value = found.get<std::int64_t>();
    if (value >= least && value <= most) return value;
  }
  std::string expected = least == 1 ? "a positive integer" : fmt::format("an integer of at least {}", least);
  if (most != kMax) expected += fmt::format(", at most {}", most);
  wrong(key, expected);
}

std::string JsonObject::string_or(const std::string& key, const std::string& fallback) const {
  return has(key) ? string(key) : fallback;
}

bool JsonObject::boolean_or(const std::string& key, bool fallback) const { return has(key) ? boolean(key) : fallback; }

double JsonObject::number_or(const std::string& key, double fallback) const { return has(key) ? number(key) : fallback; }

std::int64_t JsonObject::integer_or(const std::string& key, std::int64_t fallback, std::int64_t least,
                                    std::int64_t most) const {
  return has(key) ? integer(key, least, most) : fallback;
}

}  // namespace expunge
