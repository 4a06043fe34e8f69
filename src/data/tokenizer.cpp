// Encoding as transformers' LlamaTokenizer does it: cut out added tokens, hand the rest to sentencepiece.
#include "expunge/data/tokenizer.h"

#include <fmt/format.h>
#include <sentencepiece_processor.h>

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <unordered_map>
#include <unordered_set>

#include "data/model_pieces.h"
#include "data/tokenizer_settings.h"
#include "expunge/core/error.h"
#include "expunge/core/text.h"
#include "expunge/io/files.h"
#include "expunge/io/hash.h"

namespace expunge {
namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t kMaxModel = 256 << 20;
constexpr std::string_view kUnderline = "\u2581";  // what sentencepiece writes for a space

std::string read_model(const fs::path& folder) {
  const fs::path path = folder / "tokenizer.model";
  if (fs::exists(path)) return read_file(path, kMaxModel);
  const bool fast = fs::exists(folder / "tokenizer.json");
  fail(ExitCode::bad_input,
       fmt::format("{} has no tokenizer.model{}: a sentencepiece model is needed; copy the one the model was published with",
                   folder.string(), fast ? " (only a tokenizer.json, which is another format)" : ""));
}

/// White space as Python's str.strip() sees it, in UTF-8.
constexpr std::array<std::string_view, 29> kSpaces = {
    " ",      "\t",     "\n",     "\v",     "\f",     "\r",     "\x1c",   "\x1d",   "\x1e",   "\x1f",
    "\u0085", "\u00a0", "\u1680", "\u2000", "\u2001", "\u2002", "\u2003", "\u2004", "\u2005", "\u2006",
    "\u2007", "\u2008", "\u2009", "\u200a", "\u2028", "\u2029", "\u202f", "\u205f", "\u3000"};

void strip_left(std::string& text) {
  std::size_t begin = 0;
  const auto is_prefix = [&](std::string_view space) { return std::string_view(text).substr(begin).starts_with(space); };
  for (auto it = kSpaces.begin(); (it = std::find_if(kSpaces.begin(), kSpaces.end(), is_prefix)) != kSpaces.end();) {
    begin += it->size();
  }
  text.erase(0, begin);
}

void strip_right(std::string& text) {
  const auto is_suffix = [&](std::string_view space) { return text.ends_with(space); };
  for (auto it = kSpaces.begin(); (it = std::find_if(kSpaces.begin(), kSpaces.end(), is_suffix)) != kSpaces.end();) {
    text.resize(text.size() - it->size());
  }
}

std::string replace_all(std::string_view text, std::string_view from, std::string_view to) {
  std::string result;
  for (std::size_t begin = 0;;) {
    const std::size_t found = text.find(from, begin);
    result += text.substr(begin, found - begin);
    if (found == std::string_view::npos) return result;
    result += to;
    begin = found + from.size();
  }
}

}  // namespace

struct Tokenizer::Impl {
  TokenizerSettings settings;
  sentencepiece::SentencePieceProcessor model;
  std::unordered_map<std::string, std::int32_t> added_ids;        // content -> id
  std::array<std::vector<const AddedToken*>, 256> added_by_byte;  // first byte -> tokens, longest first
  std::unordered_map<std::int32_t, std::int32_t> renumbered;      // piece -> the id that an added token gives it
  std::unordered_set<std::string> special;                        // contents of special tokens
  int unk_length = 0;                                             // tokens that the spelled-out unk takes
  int size = 0;
  std::string hash;

  explicit Impl(const fs::path& folder);
  void give_ids_to_special_tokens(const fs::path& folder);
  std::vector<std::string> cut(const std::string& text) const;
  void strip_around_added(std::vector<std::string>& parts) const;
  template <typename T>
  std::vector<T> run_model(std::string_view text) const;
  void encode_part(const std::string& part, std::vector<std::int32_t>& ids) const;
  std::optional<std::int32_t> find(const std::string& piece) const;
  std::string piece(std::int32_t id) const;
};

Tokenizer::Impl::Impl(const fs::path& folder) : settings(read_tokenizer_settings(folder)) {
  std::string bytes = read_model(folder);
  Sha256 digest;
  digest.update(bytes);
  // As a protocol buffer, a second normalizer_spec at the end is merged into the first: here {add_dummy_prefix: false}.
  if (!settings.legacy) bytes += std::string_view("\x1a\x02\x18\x00", 4);
  const std::string file = (folder / "tokenizer.model").string();
  if (has_piece_with_zero_byte(bytes)) fail(ExitCode::bad_input, file + ": a piece holds a zero byte; the file is damaged");
  if (const auto status = model.LoadFromSerializedProto(bytes); !status.ok())
    fail(ExitCode::bad_input, fmt::format("{} is not a sentencepiece model: {}", file, status.message()));
  for (const auto& [id, token] : settings.added) {
    if (added_ids.emplace(token.content, id).second) continue;
    fail(ExitCode::bad_input, fmt::format("{}: the added token '{}' has the ids {} and {}", folder.string(),
                                          excerpt(token.content), added_ids[token.content], id));
  }
  give_ids_to_special_tokens(folder);
  size = model.GetPieceSize();
  for (const auto& [id, token] : settings.added) {
    size = std::max(size, id + 1);
    if (token.content.empty()) continue;
    added_by_byte[static_cast<unsigned char>(token.content[0])].push_back(&token);
  }
  for (const auto& [content, id] : added_ids) {
    const int base = model.PieceToId(content);
    if (base != id && model.IdToPiece(base) == content) renumbered[base] = id;
  }
  for (auto& tokens : added_by_byte) {
    std::sort(tokens.begin(), tokens.end(), [](const auto* a, const auto* b) { return a->content.size() > b->content.size(); });
  }
  // An empty one is no token.
  if (settings.add_bos && !(settings.bos && find(*settings.bos)))
    fail(ExitCode::bad_input, folder.string() + ": add_bos_token without a bos_token");
  if (settings.add_eos && !(settings.eos && find(*settings.eos)))
    fail(ExitCode::bad_input, folder.string() + ": add_eos_token without an eos_token");
  if (!settings.legacy) {
    if (!settings.unk) fail(ExitCode::bad_input, folder.string() + ": legacy is false, which needs an unk_token");
    unk_length = static_cast<int>(run_model<int>(*settings.unk).size());
  }

  nlohmann::json rule = {settings.legacy,
                         settings.add_bos,
                         settings.add_eos,
                         settings.add_prefix_space,
                         settings.split_special_tokens,
                         settings.bos.value_or(""),
                         settings.eos.value_or(""),
                         settings.unk.value_or("")};
  for (const auto& [id, t] : settings.added) {
    rule.push_back({id, t.content, t.lstrip, t.rstrip, t.single_word, special.contains(t.content)});
  }
  digest.update(rule.dump(-1, ' ', true));
  hash = digest.hex();
}

/// Special tokens are found in the vocabulary, or get the next ids behind it; all of them become added tokens.
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

/// Cuts a text into added tokens and what lies between them: at each place the longest token that begins there.
std::vector<std::string> Tokenizer::Impl::cut(const std::string& text) const {
  std::vector<std::string> parts;
  const std::string_view view = text;
  std::size_t begin = 0;
  for (std::size_t i = 0; !settings.split_special_tokens && i < view.size();) {
    const auto& tokens = added_by_byte[static_cast<unsigned char>(view[i])];
    const auto found = std::find_if(tokens.begin(), tokens.end(),
                                    [&](const auto* token) { return view.substr(i).starts_with(token->content); });
    if (found == tokens.end()) {
      ++i;
      continue;
    }
    if (begin < i) parts.emplace_back(view.substr(begin, i - begin));
    parts.push_back((*found)->content);
    begin = i += (*found)->content.size();
  }
  if (begin < view.size()) parts.emplace_back(view.substr(begin));
  return parts;
}

/// lstrip, rstrip and single_word, part by part from the left; later parts see what earlier ones have changed.
void Tokenizer::Impl::strip_around_added(std::vector<std::string>& parts) const {
  for (std::size_t i = 0; i < parts.size(); ++i) {
    const auto found = added_ids.find(parts[i]);
    if (found == added_ids.end()) continue;
    const AddedToken& token = settings.added.at(found->second);
    std::string none;
    std::string& left = i > 0 ? parts[i - 1] : none;
    std::string& right = i + 1 < parts.size() ? parts[i + 1] : none;
    const bool beside_left = !left.empty() && left.back() != ' ', beside_right = !right.empty() && right.front() != ' ';
    if (token.rstrip) strip_left(right);
    if (token.lstrip) strip_right(left);
    if (token.single_word && beside_left) {
      left += parts[i];
      parts[i].clear();
    } else if (token.single_word && beside_right) {
      right.insert(0, parts[i]);
      parts[i].clear();
    }
  }
}

template <typename T>
std::vector<T> Tokenizer::Impl::run_model(std::string_view text) const {
  std::vector<T> result;
  if (const auto status = model.Encode(text, &result); !status.ok()) {
    fail(ExitCode::internal, fmt::format("sentencepiece cannot encode a text: {}", status.ToString()));
  }
  return result;
}

/// Appends the ids of a stretch of text without added tokens.
void Tokenizer::Impl::encode_part(const std::string& part, std::vector<std::int32_t>& ids) const {
  // Without its dummy prefix sentencepiece would drop a leading space; behind a spelled-out unk it keeps it.
  const bool behind_unk = !settings.legacy && (part.starts_with(' ') || part.starts_with(kUnderline));
  const std::string text = behind_unk ? *settings.unk + part : part;
  std::vector<int> pieces = run_model<int>(text);
  if (std::find(pieces.begin(), pieces.end(), model.unk_id()) != pieces.end()) {
    // transformers looks pieces up by name, and the name of an unknown piece, its text, may be that of an added token.
    const std::vector<std::string> names = run_model<std::string>(text);
    for (std::size_t i = 0; i < names.size(); ++i) pieces[i] = find(names[i]).value_or(model.unk_id());
  }
  const std::size_t skip = behind_unk && pieces.size() >= static_cast<std::size_t>(unk_length) ? std::size_t(unk_length) : 0;
  for (std::size_t i = skip; i < pieces.size(); ++i) {
    const auto found = renumbered.find(pieces[i]);
    ids.push_back(found == renumbered.end() ? pieces[i] : found->second);
  }
}

Tokenizer::Tokenizer(const fs::path& folder) : impl_(std::make_unique<Impl>(folder)) {}
Tokenizer::~Tokenizer() = default;
Tokenizer::Tokenizer(Tokenizer&&) noexcept = default;

std::vector<std::int32_t> Tokenizer::encode(std::string_view text) const {
  const TokenizerSettings& settings = impl_->settings;
  std::string prepared(text);
  if (!settings.legacy && !text.empty()) {
    prepared = replace_all(text, kUnderline, " ");
    if (settings.add_prefix_space) prepared.insert(0, kUnderline);
  }
  std::vector<std::string> parts = impl_->cut(prepared);
  impl_->strip_around_added(parts);

  std::vector<std::int32_t> ids;
  if (settings.add_bos) ids.push_back(*bos_id());
  const std::size_t first = ids.size();
  bool second_is_added = false;
  for (const std::string& part : parts) {
    if (part.empty()) continue;
    if (const auto found = impl_->added_ids.find(part); found != impl_->added_ids.end()) {
      second_is_added |= ids.size() == first + 1;
      ids.push_back(found->second);
    } else {
      impl_->encode_part(part, ids);
    }
  }
  // A prefix space that stands alone before a special token is taken back. An unknown piece has unk's id, but is not unk.
  if (!settings.legacy && ids.size() >= first + 2 && impl_->piece(ids[first]) == kUnderline &&
      (second_is_added || ids[first + 1] != impl_->model.unk_id()) && impl_->special.contains(impl_->piece(ids[first + 1]))) {
    ids.erase(ids.begin() + static_cast<std::ptrdiff_t>(first));
  }
  if (settings.add_eos) ids.push_back(*eos_id());
  return ids;
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
bool Tokenizer::adds_eos() const { return impl_->settings.add_eos; }
int Tokenizer::vocabulary_size() const { return impl_->size; }
const std::string& Tokenizer::hash() const { return impl_->hash; }

}  // namespace expunge
