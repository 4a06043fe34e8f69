// Encodes like transformers' LlamaTokenizer: takes out added tokens, gives the rest to sentencepiece.
#include "data/tokenizer.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <unordered_map>
#include <unordered_set>

#include "core/text.h"
#include "data/added_tokens.h"
#include "data/piece_encoder.h"
#include "data/tokenizer_settings.h"
#include "expunge/error.h"
#include "io/content_kind.h"
#include "io/files.h"
#include "io/hash.h"

namespace expunge {
namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t kMaxModel = 32 << 20;  // several times the largest published model
constexpr std::size_t kIdsAtOnce = 1 << 14;
constexpr std::string_view kUnderline = "\u2581";  // replaces a space in sentencepiece

std::string read_model(const fs::path& folder) {
  const fs::path path = folder / "tokenizer.model";
  if (fs::exists(path)) {
    refuse_mistaken(path);
    return read_file(path, kMaxModel);
  }
  if (!fs::is_directory(folder))
    fail(ExitCode::bad_input, fmt::format("{}: {}; expected the folder that holds the model's tokenizer.model", folder.string(),
                                          fs::exists(folder) ? "it is not a folder" : "there is no such folder"));
  const bool fast = fs::exists(folder / "tokenizer.json");
  fail(ExitCode::bad_input,
       fmt::format("{} has no tokenizer.model{}: a sentencepiece model is needed; copy the one the model was published with",
                   folder.string(), fast ? " (only a tokenizer.json, which is another format)" : ""));
}

/// The model's bytes as used; `digest` receives the file.
std::string model_bytes(const fs::path& folder, bool legacy, Sha256& digest) {
  std::string bytes = read_model(folder);
  digest.update(bytes);
  // A protocol buffer merges a second normalizer_spec at the end into the first: here {add_dummy_prefix: false}.
  if (!legacy) bytes += std::string_view("\x1a\x02\x18\x00", 4);
  return bytes;
}

}  // namespace

struct Tokenizer::Impl {
  TokenizerSettings settings;
  Sha256 digest;
  PieceEncoder encoder;
  const sentencepiece::SentencePieceProcessor& model;
  std::unordered_map<std::string, std::int32_t> added_ids;  // content -> id
  AddedTokens added;
  std::unordered_map<std::int32_t, std::int32_t> renumbered;  // piece -> id of the added token with its text
  std::unordered_set<std::string> special;                    // contents of special tokens
  std::size_t unk_length = 0;                                 // tokens of the encoded unk token
  TextFrame frame;
  int size = 0;
  std::string hash, former_hash;

  explicit Impl(const fs::path& folder);
  void give_ids_to_special_tokens(const fs::path& folder);
  void find_added_tokens(const fs::path& folder);
  TextFrame frame_without_json() const;
  void choose_frame(const fs::path& folder);
  std::string hash_with(const TextFrame& chosen) const;
  void encode_part(const std::string& part, const std::string& where, const std::function<void(std::int32_t)>& take) const;
  std::optional<std::int32_t> find(const std::string& piece) const;
  std::string piece(std::int32_t id) const;
};

Tokenizer::Impl::Impl(const fs::path& folder)
    : settings(read_tokenizer_settings(folder)),
      encoder(model_bytes(folder, settings.legacy, digest), (folder / "tokenizer.model").string()),
      model(encoder.model()) {
  for (const auto& [id, token] : settings.added) {
    if (added_ids.emplace(token.content, id).second) continue;
    fail(ExitCode::bad_input, fmt::format("{}: the added token '{}' has the ids {} and {}", folder.string(),
                                          excerpt(token.content), added_ids[token.content], id));
  }
  give_ids_to_special_tokens(folder);
  find_added_tokens(folder);
  choose_frame(folder);
  if (!settings.legacy) {
    if (!settings.unk) fail(ExitCode::bad_input, folder.string() + ": legacy is false, which needs an unk_token");
    unk_length = encoder.count(*settings.unk);
  }

  hash = hash_with(frame);
  former_hash = hash_with(frame_without_json());
}

/// BOS alone, unless tokenizer_config.json says otherwise. Missing tokens are omitted.
TextFrame Tokenizer::Impl::frame_without_json() const {
  const auto ids = [&](bool add, const std::optional<std::string>& token) -> std::vector<std::int32_t> {
    const std::optional<std::int32_t> id = add && token ? find(*token) : std::nullopt;
    return id ? std::vector{*id} : std::vector<std::int32_t>();
  };
  return {ids(settings.add_bos.value_or(true), settings.bos), ids(settings.add_eos.value_or(false), settings.eos)};
}

/// A key of tokenizer_config.json decides, else tokenizer.json if the vocabulary has its ids.
void Tokenizer::Impl::choose_frame(const fs::path& folder) {
  frame = frame_without_json();
  const auto is_known = [&](std::int32_t id) { return !piece(id).empty(); };
  const bool use_json = settings.frame && std::ranges::all_of(settings.frame->before, is_known) &&
                        std::ranges::all_of(settings.frame->after, is_known);
  if (use_json && !settings.add_bos) frame.before = settings.frame->before;
  if (use_json && !settings.add_eos) frame.after = settings.frame->after;
  // An empty token is no token.
  if (frame.before.empty() && settings.add_bos.value_or(!use_json))
    fail(ExitCode::bad_input, folder.string() + ": add_bos_token without a bos_token");
  if (frame.after.empty() && settings.add_eos.value_or(false))
    fail(ExitCode::bad_input, folder.string() + ": add_eos_token without an eos_token");
}

std::string Tokenizer::Impl::hash_with(const TextFrame& chosen) const {
  nlohmann::json rule = {settings.legacy,           !chosen.before.empty(),        !chosen.after.empty(),
                         settings.add_prefix_space, settings.split_special_tokens, settings.bos.value_or(""),
                         settings.eos.value_or(""), settings.unk.value_or("")};
  for (const auto& [id, t] : settings.added) {
    rule.push_back({id, t.content, t.lstrip, t.rstrip, t.single_word, special.contains(t.content)});
  }
  // Only tokenizer.json can name tokens other than BOS and EOS.
  const auto is_role = [&](const std::vector<std::int32_t>& ids, const std::optional<std::string>& token) {
    return ids.empty() || (ids.size() == 1 && token && find(*token) == ids.front());
  };
  if (!is_role(chosen.before, settings.bos) || !is_role(chosen.after, settings.eos))
    rule.push_back({chosen.before, chosen.after});
  Sha256 all = digest;
  all.update(rule.dump(-1, ' ', true));
  return all.hex();
}

/// Finds special tokens in the vocabulary or gives them the next free ids; makes all of them added tokens.
void Tokenizer::Impl::give_ids_to_special_tokens(const fs::path& folder) {
  std::unordered_set<std::string> names;
  for (int i = 0; i < model.GetPieceSize(); ++i) names.insert(piece(i));
  for (const auto& [content, id] : added_ids) names.insert(content);
  for (const auto& [token, has_flags] : settings.special) {
    special.insert(token.content);
    if (token.content.empty() || (!has_flags && added_ids.contains(token.content))) continue;
    const std::optional<std::int32_t> known = find(token.content);
    const std::int32_t id = known.value_or(static_cast<std::int32_t>(names.size()));
    if (piece(id) != token.content && !piece(id).empty()) {
      fail(ExitCode::bad_input,
           fmt::format("{}: the special token '{}' would get id {}, which '{}' has: list it as an added token", folder.string(),
                       excerpt(token.content), id, excerpt(piece(id))));
    }
    names.insert(token.content);
    settings.added[id] = token;
    added_ids[token.content] = id;
  }
}

void Tokenizer::Impl::find_added_tokens(const fs::path& folder) {
  size = model.GetPieceSize();
  for (const auto& [id, token] : settings.added) {
    size = std::max(size, id + 1);
    if (token.content.size() > kLongestAddedToken)
      fail(ExitCode::bad_input, fmt::format("{}: the added token '{}' has {} bytes; expected at most {}", folder.string(),
                                            excerpt(token.content), token.content.size(), kLongestAddedToken));
  }
  for (const auto& [content, id] : added_ids) {
    const int base = model.PieceToId(content);
    if (base != id && model.IdToPiece(base) == content) renumbered[base] = id;
  }
  added = AddedTokens(settings.added);
  encoder.allow_cuts(added.longest());
}

std::optional<std::int32_t> Tokenizer::Impl::find(const std::string& content) const {
  if (const auto found = added_ids.find(content); found != added_ids.end()) return found->second;
  const int id = model.PieceToId(content);
  if (piece(id) == content) return id;
  return std::nullopt;
}

std::string Tokenizer::Impl::piece(std::int32_t id) const {
  if (const auto found = settings.added.find(id); found != settings.added.end()) return found->second.content;
  return id >= 0 && id < model.GetPieceSize() ? model.IdToPiece(id) : "";
}

/// Encodes a stretch of text without added tokens.
void Tokenizer::Impl::encode_part(const std::string& part, const std::string& where,
                                  const std::function<void(std::int32_t)>& take) const {
  // Without its dummy prefix sentencepiece would drop a leading space; after an encoded unk token it keeps the space.
  const bool behind_unk = !settings.legacy && (part.starts_with(' ') || part.starts_with(kUnderline));
  const auto take_piece = [&](int id, const std::string& unknown_text) {
    // transformers looks pieces up by name. The name of an unknown piece is its text, which may equal an added token.
    if (!unknown_text.empty()) id = find(unknown_text).value_or(id);
    const auto found = renumbered.find(id);
    take(found == renumbered.end() ? id : found->second);
  };
  encoder.encode(behind_unk ? *settings.unk : "", behind_unk ? unk_length : 0, part, where, take_piece);
}

Tokenizer::Tokenizer(const fs::path& folder) : impl_(std::make_unique<Impl>(folder)) {}
Tokenizer::~Tokenizer() = default;
Tokenizer::Tokenizer(Tokenizer&&) noexcept = default;

std::vector<std::int32_t> Tokenizer::encode(std::string_view text, const std::string& where) const {
  std::vector<std::int32_t> ids;
  encode(text, where, [&](std::span<const std::int32_t> next) { ids.insert(ids.end(), next.begin(), next.end()); });
  return ids;
}

void Tokenizer::encode(std::string_view text, const std::string& where,
                       const std::function<void(std::span<const std::int32_t>)>& take) const {
  const TokenizerSettings& settings = impl_->settings;
  std::string prepared;
  if (!settings.legacy && !text.empty()) {
    prepared = replace_all(text, kUnderline, " ");
    if (settings.add_prefix_space) prepared.insert(0, kUnderline);
    text = prepared;
  }
  std::vector<std::int32_t> ids = ids_before();
  const std::size_t first = ids.size();
  bool second_is_added = false, began = false;
  const auto give = [&] {
    // Remove a lone prefix space before a special token. An unknown piece has the id of unk but is not the unk token.
    if (!began && !settings.legacy && ids.size() >= first + 2 && impl_->piece(ids[first]) == kUnderline &&
        (second_is_added || ids[first + 1] != impl_->model.unk_id()) && impl_->special.contains(impl_->piece(ids[first + 1])))
      ids.erase(ids.begin() + static_cast<std::ptrdiff_t>(first));
    began = true;
    take(ids);
    ids.clear();
  };
  const auto add = [&](std::int32_t id) {
    ids.push_back(id);
    if (ids.size() == kIdsAtOnce) give();
  };
  TextParts parts(impl_->added, text, settings.split_special_tokens);
  for (std::string part; parts.next(part);) {
    if (part.empty()) continue;
    if (const auto found = impl_->added_ids.find(part); found != impl_->added_ids.end()) {
      second_is_added |= ids.size() == first + 1;
      add(found->second);
    } else {
      impl_->encode_part(part, where, add);
    }
  }
  ids.insert(ids.end(), ids_after().begin(), ids_after().end());
  give();
}

std::string Tokenizer::decode(std::span<const std::int32_t> ids) const {
  std::string text;
  std::vector<int> run;
  const auto flush = [&] {
    text += impl_->model.DecodeIds(run);
    run.clear();
  };
  for (const std::int32_t id : ids) {
    if (id < 0 || id >= impl_->size)
      fail(ExitCode::usage, fmt::format("token id {} is outside the vocabulary of {}", id, impl_->size));
    if (const auto found = impl_->settings.added.find(id); found != impl_->settings.added.end()) {
      flush();
      text += found->second.content;
    } else if (id < impl_->model.GetPieceSize()) {
      run.push_back(id);
    }
  }
  flush();
  return text;
}

std::string Tokenizer::piece(std::int32_t id) const { return impl_->piece(id); }
std::optional<std::int32_t> Tokenizer::id(std::string_view piece) const { return impl_->find(std::string(piece)); }
std::optional<std::int32_t> Tokenizer::bos_id() const {
  return impl_->settings.bos ? impl_->find(*impl_->settings.bos) : std::nullopt;
}
std::optional<std::int32_t> Tokenizer::eos_id() const {
  return impl_->settings.eos ? impl_->find(*impl_->settings.eos) : std::nullopt;
}
std::optional<std::int32_t> Tokenizer::pad_id() const {
  return impl_->settings.pad ? impl_->find(*impl_->settings.pad) : std::nullopt;
}
bool Tokenizer::is_special(std::int32_t id) const {
  const bool is_control = id >= 0 && id < impl_->model.GetPieceSize() && impl_->model.IsControl(id);
  return is_control || impl_->special.contains(impl_->piece(id));
}
const std::vector<std::int32_t>& Tokenizer::ids_before() const { return impl_->frame.before; }
const std::vector<std::int32_t>& Tokenizer::ids_after() const { return impl_->frame.after; }
bool Tokenizer::doubles_bos(std::span<const std::int32_t> ids) const {
  const std::vector<std::int32_t>& before = ids_before();
  return !before.empty() && before.back() == bos_id() && ids.size() > before.size() && ids[before.size()] == before.back();
}
int Tokenizer::vocabulary_size() const { return impl_->size; }
const std::string& Tokenizer::hash() const { return impl_->hash; }
const std::string& Tokenizer::former_hash() const { return impl_->former_hash; }

std::string doubled_bos(const Tokenizer& tokenizer, const std::string& where, std::uint64_t count) {
  return fmt::format(
      "{}: {} with '{}' in front, which the tokenizer also adds: the ids begin with it twice, as in "
      "transformers; remove it from the text",
      where, counted(count, "text"), excerpt(tokenizer.piece(tokenizer.bos_id().value())));
}

}  // namespace expunge
