// Reads the post-processor of tokenizer.json, and compares the file with the tokenizer in use.
#include "data/tokenizer_json.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <unordered_map>

#include "core/text.h"
#include "data/tokenizer.h"
#include "data/tokenizer_settings.h"
#include "expunge/error.h"
#include "io/json.h"

namespace expunge {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

using TokenIds = std::unordered_map<std::string, std::int32_t>;

const json& list_of(const JsonObject& object, const std::string& key) {
  if (!object.at(key).is_array()) object.wrong(key, "a list");
  return object.at(key);
}

std::int32_t id_of(const json& value, const std::string& where, const std::string& key) {
  return static_cast<std::int32_t>(JsonObject({{key, value}}, where).integer(key, 0, kMaxTokenId));
}

/// `{"single": [{"SpecialToken": {"id": "<s>"}}, {"Sequence": {"id": "A"}}], "special_tokens": {"<s>": {"ids": [1]}}}`
TextFrame read_template(const JsonObject& processor) {
  TextFrame frame;
  bool behind = false;
  for (const json& value : list_of(processor, "single")) {
    const JsonObject entry(value, processor.where() + ": single");
    if (entry.has("Sequence")) {
      if (behind) processor.wrong("single", "the text once");
      behind = true;
      continue;
    }
    const std::string token = JsonObject(entry.at("SpecialToken"), entry.where()).string("id");
    const JsonObject tokens(processor.at("special_tokens"), processor.where() + ": special_tokens");
    const JsonObject ids(tokens.at(token), tokens.where());
    for (const json& id : list_of(ids, "ids")) (behind ? frame.after : frame.before).push_back(id_of(id, ids.where(), "ids"));
  }
  if (!behind) processor.wrong("single", "the text once");
  return frame;
}

/// Ids of the file's tokens: those of its model and added ones.
TokenIds read_tokens(const JsonObject& file) {
  const JsonObject model(file.at("model"), file.where() + ": model");
  const json& vocabulary = model.at("vocab");
  TokenIds tokens;
  if (vocabulary.is_object()) {
    for (const auto& [token, id] : vocabulary.items()) tokens[token] = id_of(id, model.where() + ": vocab", token);
  } else {
    // Unigram: pairs of token and score.
    for (const json& pair : list_of(model, "vocab")) {
      if (!pair.is_array() || pair.empty() || !pair[0].is_string()) model.wrong("vocab", "tokens with ids or scores");
      tokens.emplace(pair[0].get<std::string>(), static_cast<std::int32_t>(tokens.size()));
    }
  }
  if (!file.has("added_tokens")) return tokens;
  for (const json& value : list_of(file, "added_tokens")) {
    const JsonObject token(value, file.where() + ": added_tokens");
    tokens[token.string("content")] = id_of(token.at("id"), token.where(), "id");
  }
  return tokens;
}

std::string show_frame(const TextFrame& frame, const Tokenizer& tokenizer) {
  std::string text;
  for (const std::int32_t id : frame.before) text += fmt::format("'{}' ", excerpt(tokenizer.piece(id)));
  text += "TEXT";
  for (const std::int32_t id : frame.after) text += fmt::format(" '{}'", excerpt(tokenizer.piece(id)));
  return text;
}

void compare_frames(const JsonObject& file, const Tokenizer& tokenizer, std::vector<std::string>& differences) {
  const TextFrame here{tokenizer.ids_before(), tokenizer.ids_after()};
  const TextFrame there =
      read_text_frame(file.has("post_processor") ? file.at("post_processor") : json(), file.where() + ": post_processor");
  if (here != there)
    differences.push_back(
        fmt::format("it says {}, which is {} here", show_frame(there, tokenizer), show_frame(here, tokenizer)));
}

void compare_tokens(const TokenIds& there, const Tokenizer& tokenizer, std::vector<std::string>& differences) {
  std::vector<std::string> moved, missing;
  for (const auto& [token, id] : there)
    if (tokenizer.piece(id) != token) moved.push_back(token);
  for (std::int32_t id = 0; id < tokenizer.vocabulary_size(); ++id)
    if (const std::string piece = tokenizer.piece(id); !piece.empty() && !there.contains(piece)) missing.push_back(piece);
  if (!moved.empty()) {
    const std::string& first = *std::ranges::min_element(moved, {}, [&](const std::string& token) { return there.at(token); });
    const std::optional<std::int32_t> here = tokenizer.id(first);
    differences.push_back(fmt::format("{} of its {} tokens have another id here or none, the first '{}' (id {}, here {})",
                                      moved.size(), there.size(), excerpt(first), there.at(first),
                                      here ? fmt::format("{}", *here) : "none"));
  }
  if (!missing.empty())
    differences.push_back(fmt::format("{} tokens are here alone, the first '{}'", missing.size(), excerpt(missing.front())));
}

/// Compares the flags of added tokens that affect ids.
void compare_flags(const JsonObject& file, const TokenizerSettings& settings, std::vector<std::string>& differences) {
  if (!file.has("added_tokens")) return;
  for (const json& value : list_of(file, "added_tokens")) {
    const JsonObject there(value, file.where() + ": added_tokens");
    const auto found = settings.added.find(id_of(there.at("id"), there.where(), "id"));
    if (found == settings.added.end() || found->second.content != there.string("content")) continue;
    const AddedToken& here = found->second;
    if (here.lstrip == there.boolean_or("lstrip", false) && here.rstrip == there.boolean_or("rstrip", false) &&
        here.single_word == there.boolean_or("single_word", false))
      continue;
    differences.push_back(fmt::format("the added token '{}' has other flags here", excerpt(here.content)));
    return;
  }
}

/// Which stretches of text between added tokens get a leading space; nullopt if the file does not say so in a known way.
std::optional<std::string> spaces_of(const JsonObject& file) {
  if (file.has("pre_tokenizer")) {
    const JsonObject splitter(file.at("pre_tokenizer"), file.where() + ": pre_tokenizer");
    if (splitter.string_or("type", "") == "Metaspace") return splitter.string_or("prepend_scheme", "always");
  }
  if (!file.has("normalizer")) return std::nullopt;
  const JsonObject normalizer(file.at("normalizer"), file.where() + ": normalizer");
  if (!normalizer.has("normalizers")) return std::nullopt;
  for (const json& value : list_of(normalizer, "normalizers"))
    if (JsonObject(value, normalizer.where()).string_or("type", "") == "Prepend") return "always";
  return std::nullopt;
}

void compare_spaces(const JsonObject& file, const TokenizerSettings& settings, std::vector<std::string>& differences) {
  std::string here = settings.add_prefix_space ? "first" : "never";
  if (settings.legacy) here = "always";
  const std::optional<std::string> there = spaces_of(file);
  if (there && *there != here)
    differences.push_back(fmt::format("a stretch of text between special tokens gets a space in front '{}' there, '{}' here",
                                      excerpt(*there), here));
}

}  // namespace

TextFrame read_text_frame(const json& post_processor, const std::string& where) {
  if (post_processor.is_null()) return {};
  const JsonObject processor(post_processor, where);
  const std::string type = processor.string("type");
  if (type == "ByteLevel") return {};
  if (type == "TemplateProcessing") return read_template(processor);
  if (type != "Sequence") processor.wrong("type", "TemplateProcessing, ByteLevel or Sequence");
  TextFrame frame;
  for (const json& value : list_of(processor, "processors")) {
    const TextFrame outer = read_text_frame(value, where + ": processors");
    frame.before.insert(frame.before.begin(), outer.before.begin(), outer.before.end());
    frame.after.insert(frame.after.end(), outer.after.begin(), outer.after.end());
  }
  return frame;
}

std::vector<std::string> tokenizer_differences(const fs::path& folder, const Tokenizer& tokenizer) {
  const fs::path path = folder / "tokenizer.json";
  if (!fs::exists(path)) return {};
  std::vector<std::string> differences;
  try {
    const JsonRules rules{.wanted = {"added_tokens", "normalizer", "pre_tokenizer", "post_processor", "model"}};
    const JsonObject file(parse_json_file(path, kMaxTokenizerJson, rules), path.string());
    const TokenizerSettings settings = read_tokenizer_settings(folder);
    compare_frames(file, tokenizer, differences);
    compare_tokens(read_tokens(file), tokenizer, differences);
    compare_flags(file, settings, differences);
    compare_spaces(file, settings, differences);
  } catch (const Error& error) {
    // The file is not needed: tokenizer.model decides without it.
    if (error.code() != ExitCode::bad_input) throw;
    differences.push_back(fmt::format("it cannot be compared: {}", error.what()));
  }
  return differences;
}

}  // namespace expunge
