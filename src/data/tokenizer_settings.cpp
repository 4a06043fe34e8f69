// Reads tokenizer_config.json and the older files that it replaces.
#include "data/tokenizer_settings.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <set>

#include "core/text.h"
#include "expunge/error.h"
#include "io/json.h"

namespace expunge {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

JsonObject read_object(const fs::path& path, const JsonRules& rules = {}) {
  if (!fs::exists(path)) return {json::object(), path.string()};
  return {parse_json_file(path, kMaxTokenizerJson, rules), path.string()};
}

AddedToken added_token(const json& value, const std::string& where) {
  const JsonObject object(value, where);
  return {object.string("content"), object.boolean_or("lstrip", false), object.boolean_or("rstrip", false),
          object.boolean_or("single_word", false)};
}

std::int32_t token_id(const json& value, const std::string& where, const std::string& token) {
  return static_cast<std::int32_t>(JsonObject({{token, value}}, where).integer(token, 0, kMaxTokenId));
}

/// A special token is written as a string or as an object with flags.
SpecialToken special_token(const json& value, const std::string& where) {
  if (value.is_string()) return {{value.get<std::string>()}, false};
  return {added_token(value, where), true};
}

/// Refuses two tokens with one id, because transformers would use either of them.
void put(std::map<std::int32_t, AddedToken>& added, std::int32_t id, const AddedToken& token, const std::string& where) {
  const AddedToken& kept = added.try_emplace(id, token).first->second;
  if (kept.content != token.content) {
    fail(ExitCode::bad_input,
         fmt::format("{}: id {} is given to both '{}' and '{}'", where, id, excerpt(kept.content), excerpt(token.content)));
  }
  added[id] = token;
}

/// `"added_tokens_decoder": {"32000": {"content": ...}, ...}`
std::map<std::int32_t, AddedToken> read_decoder(const JsonObject& config) {
  std::map<std::int32_t, AddedToken> added;
  const JsonObject decoder(config.at("added_tokens_decoder"), config.where() + ": added_tokens_decoder");
  for (const auto& [key, value] : decoder.value().items()) {
    std::int64_t id = -1;
    const auto [end, error] = std::from_chars(key.data(), key.data() + key.size(), id);
    if (error != std::errc() || end != key.data() + key.size() || id < 0 || id > kMaxTokenId) {
      fail(ExitCode::bad_input,
           fmt::format("{}: expected an id from 0 to {}, found '{}'", decoder.where(), kMaxTokenId, excerpt(key)));
    }
    added[static_cast<std::int32_t>(id)] = added_token(value, decoder.where() + ": " + key);
  }
  return added;
}

/// Reads the three files of folders older than added_tokens_decoder; each overrides the one before. Adds special tokens to
/// `roles`. Returns, by content, the tokens with final flags.
std::map<std::string, AddedToken> read_older_files(const fs::path& folder, json& roles,
                                                   std::map<std::int32_t, AddedToken>& added) {
  const JsonObject map = read_object(folder / "special_tokens_map.json");
  for (const auto& [key, value] : map.value().items()) {
    if (key == "additional_special_tokens" && value.is_array() && roles.value(key, json()).is_array()) {
      for (const json& token : value) roles[key].push_back(token);
    } else {
      roles[key] = value;
    }
  }
  const JsonObject list = read_object(folder / "added_tokens.json");
  for (const auto& [content, id] : list.value().items())
    put(added, token_id(id, list.where(), content), {content}, list.where());

  std::map<std::string, AddedToken> final_flags;
  const JsonObject fast = read_object(folder / "tokenizer.json", {.wanted = {"added_tokens"}});
  if (!fast.has("added_tokens")) return final_flags;
  if (!fast.at("added_tokens").is_array()) fast.wrong("added_tokens", "a list");
  for (const json& value : fast.at("added_tokens")) {
    const JsonObject entry(value, fast.where() + ": added_tokens");
    const AddedToken token = added_token(value, entry.where());
    put(added, token_id(entry.at("id"), entry.where(), "id"), token, entry.where());
    final_flags[token.content] = token;
  }
  return final_flags;
}

/// Whether a token is added; unset if the key is missing. transformers reads a null as "no" here but as "missing" elsewhere.
std::optional<bool> said(const JsonObject& config, const std::string& key) {
  return config.value().contains(key) ? std::optional(config.boolean_or(key, false)) : std::nullopt;
}

/// transformers 5 keeps BOS and EOS only in tokenizer.json. An unusable file is treated as missing.
std::optional<TextFrame> read_frame(const fs::path& folder) {
  const fs::path path = folder / "tokenizer.json";
  if (!fs::exists(path)) return std::nullopt;
  try {
    const JsonObject file = read_object(path, {.wanted = {"post_processor"}});
    return read_text_frame(file.value().value("post_processor", json()), path.string() + ": post_processor");
  } catch (const Error& error) {
    if (error.code() != ExitCode::bad_input) throw;
    return std::nullopt;
  }
}

}  // namespace

TokenizerSettings read_tokenizer_settings(const fs::path& folder) {
  const JsonObject config = read_object(folder / "tokenizer_config.json");
  const std::string kind = config.string_or("tokenizer_class", "LlamaTokenizer");
  if (kind != "LlamaTokenizer" && kind != "LlamaTokenizerFast") {
    fail(ExitCode::bad_input,
         fmt::format("{}: tokenizer_class '{}' is not supported, only LlamaTokenizer", config.where(), excerpt(kind)));
  }
  if (config.has("sp_model_kwargs") && !config.at("sp_model_kwargs").empty())
    config.wrong("sp_model_kwargs", "an empty object");

  TokenizerSettings settings;
  settings.legacy = config.boolean_or("legacy", true);
  settings.add_bos = said(config, "add_bos_token");
  settings.add_eos = said(config, "add_eos_token");
  if (!settings.add_bos || !settings.add_eos) settings.frame = read_frame(folder);
  settings.add_prefix_space = config.boolean_or("add_prefix_space", true);
  settings.split_special_tokens = config.boolean_or("split_special_tokens", false);
  json roles = config.value();
  std::map<std::string, AddedToken> final_flags;
  if (config.has("added_tokens_decoder")) {
    settings.added = read_decoder(config);
    for (const auto& [id, token] : settings.added) final_flags[token.content] = token;
  } else {
    final_flags = read_older_files(folder, roles, settings.added);
  }

  // Defaults, without flags, of roles that no file mentions.
  const std::map<std::string, std::string> defaults = {{"bos_token", "<s>"}, {"eos_token", "</s>"}, {"unk_token", "<unk>"}};
  std::map<std::string, std::string> contents;
  std::set<std::string> seen;
  for (const char* key : {"bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token"}) {
    SpecialToken special;
    if (const auto found = roles.find(key); found != roles.end()) {
      if (found->is_null()) continue;
      special = special_token(*found, config.where() + ": " + key);
      if (const auto known = final_flags.find(special.token.content); known != final_flags.end())
        special = {known->second, true};
    } else if (defaults.contains(key)) {
      special = {{defaults.at(key)}, true};
    } else {
      continue;
    }
    contents[key] = special.token.content;
    if (seen.insert(special.token.content).second) settings.special.push_back(std::move(special));
  }
  const auto content_of = [&](const char* key) -> std::optional<std::string> {
    return contents.contains(key) ? std::optional(contents[key]) : std::nullopt;
  };
  settings.bos = content_of("bos_token");
  settings.eos = content_of("eos_token");
  settings.unk = content_of("unk_token");
  settings.pad = content_of("pad_token");
  if (const json more = roles.value("additional_special_tokens", json()); more.is_array()) {
    for (const json& value : more) {
      SpecialToken special = special_token(value, config.where() + ": additional_special_tokens");
      if (!seen.contains(special.token.content)) settings.special.push_back(std::move(special));
    }
  }
  return settings;
}

}  // namespace expunge
