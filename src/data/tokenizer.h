// The tokenizer of a Hugging Face folder: sentencepiece plus the folder's added tokens and BOS/EOS rule.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace expunge {

/// Text to ids exactly as transformers' LlamaTokenizer (the sentencepiece one of versions 4.36 to 4.x, `use_fast=False`):
/// tokens of the folder's lists that are spelled out in the text become their ids, the text between them is encoded by
/// sentencepiece piece by piece, and with `legacy: false` only the beginning of the text gets a space in front. What the
/// folder says is read from tokenizer.model, tokenizer_config.json and, where that file has no `added_tokens_decoder`,
/// special_tokens_map.json, added_tokens.json and the added tokens of tokenizer.json. BOS and EOS are those of add_bos_token
/// and add_eos_token in tokenizer_config.json; of a key that is not there, those of tokenizer.json's post-processor, where
/// transformers 5 keeps them; without such a file, BOS alone.
class Tokenizer {
 public:
  /// Throws Error(bad_input) for a folder without a readable sentencepiece model or of another tokenizer class.
  explicit Tokenizer(const std::filesystem::path& folder);
  ~Tokenizer();
  Tokenizer(Tokenizer&&) noexcept;

  /// Ids of a text, BOS and EOS included where the folder's rule adds them. `text` must be valid UTF-8; `where` names it in
  /// errors. Safe to call from several threads at once. Throws Error(bad_input) for a text in which the model allows no cut for
  /// more than a mebibyte.
  std::vector<std::int32_t> encode(std::string_view text, const std::string& where = "the text") const;
  /// The same, given in order, some at a time: beside copies of the text, the memory does not grow with it.
  void encode(std::string_view text, const std::string& where,
              const std::function<void(std::span<const std::int32_t>)>& take) const;
  /// Text for people; added tokens are spelled out. Throws Error(usage) for an id outside the vocabulary.
  std::string decode(std::span<const std::int32_t> ids) const;

  /// The piece or added token of an id, e.g. "▁the"; empty for an id that stands for nothing.
  std::string piece(std::int32_t id) const;
  /// The id of a piece or added token.
  std::optional<std::int32_t> id(std::string_view piece) const;
  std::optional<std::int32_t> bos_id() const;
  std::optional<std::int32_t> eos_id() const;
  std::optional<std::int32_t> pad_id() const;
  /// Whether transformers leaves the id out of a text where it is asked to skip special tokens: those that the folder names as
  /// such, and control pieces of the sentencepiece model.
  bool is_special(std::int32_t id) const;
  /// Ids that encode() puts in front of a text, and behind it.
  const std::vector<std::int32_t>& ids_before() const;
  const std::vector<std::int32_t>& ids_after() const;
  /// Whether `ids` of encode() begin with BOS twice, since the text itself begins with it.
  bool doubles_bos(std::span<const std::int32_t> ids) const;
  /// One more than the largest id, added tokens included.
  int vocabulary_size() const;
  /// SHA-256 of tokenizer.model and of every setting that decides about ids: equal hashes give equal ids.
  const std::string& hash() const;
  /// The hash() that versions before this one gave, which did not look for BOS and EOS in tokenizer.json.
  const std::string& former_hash() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// The warning of `count` texts of `where`, such as "prompts.jsonl", for which doubles_bos() is true.
std::string doubled_bos(const Tokenizer& tokenizer, const std::string& where, std::uint64_t count);

/// How the tokenizer.json of a folder differs from what gives the ids, `tokenizer` of the same folder: BOS and EOS, tokens and
/// their ids, flags of added tokens, spaces in front. Empty where nothing differs or there is no such file. A file that cannot
/// be read is a difference.
std::vector<std::string> tokenizer_differences(const std::filesystem::path& folder, const Tokenizer& tokenizer);

}  // namespace expunge
