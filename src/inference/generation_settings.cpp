// Reads the ends of generated text from a model's folder.
#include "inference/generation_settings.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <set>

#include "core/text.h"
#include "io/json.h"
#include "model/llama_config.h"

namespace expunge {
namespace {

namespace fs = std::filesystem;
/// The values of a key that holds one value or a list.
std::vector<nlohmann::json> one_or_many(const JsonObject& file, const std::string& key) {
  if (!file.has(key)) return {};
  const nlohmann::json& value = file.at(key);
  return value.is_array() ? value.get<std::vector<nlohmann::json>>() : std::vector{value};
}

void add_eos_ids(const JsonObject& file, int vocabulary, std::set<std::int32_t>& ids) {
  for (const nlohmann::json& value : one_or_many(file, "eos_token_id")) {
    const bool is_id = value.is_number_integer() && value >= 0 && value < vocabulary;
    if (!is_id) file.wrong("eos_token_id", fmt::format("an id from 0 to {}, or a list of ids", vocabulary - 1));
    ids.insert(value.get<std::int32_t>());
  }
}

/// Skips ids outside the vocabulary, because many files write -1 or the like for "none".
void add_pad_ids(const JsonObject& file, int vocabulary, std::set<std::int32_t>& ids) {
  for (const nlohmann::json& value : one_or_many(file, "pad_token_id")) {
    if (!value.is_number_integer()) file.wrong("pad_token_id", "an id");
    if (value >= 0 && value < vocabulary) ids.insert(value.get<std::int32_t>());
  }
}

std::vector<std::string> stop_strings(const JsonObject& file) {
  std::vector<std::string> stops;
  for (const nlohmann::json& value : one_or_many(file, "stop_strings")) {
    if (!value.is_string() || value.get_ref<const std::string&>().empty())
      file.wrong("stop_strings", "a text that is not empty, or a list of such texts");
    stops.push_back(value.get<std::string>());
  }
  return stops;
}

}  // namespace

GenerationSettings read_generation_settings(const fs::path& folder, const Tokenizer& tokenizer, int vocabulary) {
  std::set<std::int32_t> eos_ids, pad_ids;
  GenerationSettings settings;
  for (const char* name : {"generation_config.json", "config.json"}) {
    const fs::path path = folder / name;
    if (!fs::exists(path)) continue;
    const JsonObject file(parse_json_file(path, kModelConfigLimit), path.string());
    add_eos_ids(file, vocabulary, eos_ids);
    add_pad_ids(file, vocabulary, pad_ids);
    for (std::string& stop : stop_strings(file)) settings.stop_strings.push_back(std::move(stop));
  }
  if (const auto id = tokenizer.eos_id()) eos_ids.insert(*id);
  if (const auto id = tokenizer.pad_id()) pad_ids.insert(*id);
  // Keep ordinary pieces, because they are text even if a folder also pads with them.
  std::erase_if(pad_ids, [&](std::int32_t id) { return !tokenizer.is_special(id); });
  settings.eos_ids.assign(eos_ids.begin(), eos_ids.end());
  settings.pad_ids.assign(pad_ids.begin(), pad_ids.end());
  return settings;
}

std::string describe_ends(const GenerationSettings& settings, const Tokenizer& tokenizer) {
  std::vector<std::string> ends;
  for (const std::int32_t id : settings.eos_ids) ends.push_back(fmt::format("'{}' (id {})", excerpt(tokenizer.piece(id)), id));
  std::string text = ends.empty() ? "no EOS ends a completion" : fmt::format("a completion ends at {}", fmt::join(ends, ", "));
  std::vector<std::string> stops;
  for (const std::string& stop : settings.stop_strings) stops.push_back(fmt::format("'{}'", excerpt(stop)));
  if (!stops.empty()) text += fmt::format(", and before the stop strings {}", fmt::join(stops, ", "));
  return text;
}

}  // namespace expunge
