// The tokenizer of a Hugging Face folder: sentencepiece with the folder's added tokens and BOS/EOS rule.
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

/// Encodes exactly like transformers' LlamaTokenizer (the sentencepiece one of versions 4.36 to 4.x, `use_fast=False`).
/// Tokens of the folder's lists that occur in the text become their ids; sentencepiece encodes the text between them. With
/// `legacy: false` only the beginning of the text gets a space in front. Settings come from tokenizer.model and
/// tokenizer_config.json; without `added_tokens_decoder` also from special_tokens_map.json, added_tokens.json and the added
/// tokens of tokenizer.json. add_bos_token and add_eos_token in tokenizer_config.json select BOS and EOS. For a missing key,
/// the post-processor of tokenizer.json decides, as in transformers 5; without that file, BOS alone is added.
class Tokenizer {
 public:
  /// Throws Error(bad_input) for a folder without a readable sentencepiece model or of another tokenizer class.
  explicit Tokenizer(const std::filesystem::path& folder);
  ~Tokenizer();
  Tokenizer(Tokenizer&&) noexcept;

  /// Ids of a text, including the BOS and EOS of the folder's rule. `text` must be valid UTF-8; `where` names it in errors.
  /// Thread-safe. Throws Error(bad_input) for a text in which the model allows no cut for more than a mebibyte.
  std::vector<std::int32_t> encode(std::string_view text, const std::string& where = "the text") const;
  /// The same, passed on in order in parts; beside copies of the text, memory does not grow with its length.
  void encode(std::string_view text, const std::string& where,
              const std::function<void(std::span<const std::int32_t>)>& take) const;
  /// Human-readable text with added tokens spelled out. Throws Error(usage) for an id outside the vocabulary.
  std::string decode(std::span<const std::int32_t> ids) const;

  /// The piece or added token of an id, e.g. "▁the"; empty for an unused id.
  std::string piece(std::int32_t id) const;
  /// The id of a piece or added token.
  std::optional<std::int32_t> id(std::string_view piece) const;
  std::optional<std::int32_t> bos_id() const;
  std::optional<std::int32_t> eos_id() const;
  std::optional<std::int32_t> pad_id() const;
  /// Whether transformers omits the id with skip_special_tokens: the folder's special tokens and the control pieces of the
  /// sentencepiece model.
  bool is_special(std::int32_t id) const;
  /// Ids that encode() adds before and after a text.
  const std::vector<std::int32_t>& ids_before() const;
  const std::vector<std::int32_t>& ids_after() const;
  /// Whether `ids` of encode() begin with BOS twice because the text itself begins with BOS.
  bool doubles_bos(std::span<const std::int32_t> ids) const;
  /// One more than the largest id, added tokens included.
  int vocabulary_size() const;
  /// SHA-256 of tokenizer.model and of every setting that affects ids: equal hashes imply equal ids.
  const std::string& hash() const;
  /// The hash() of earlier versions, which did not look for BOS and EOS in tokenizer.json.
  const std::string& former_hash() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// Warning that doubles_bos() is true for `count` texts of `where`, such as "prompts.jsonl".
std::string doubled_bos(const Tokenizer& tokenizer, const std::string& where, std::uint64_t count);

/// Differences between a folder's tokenizer.json and `tokenizer` of the same folder: BOS and EOS, tokens and ids, flags of
/// added tokens, leading spaces. Empty if there are none or there is no such file. An unreadable file counts as a difference.
std::vector<std::string> tokenizer_differences(const std::filesystem::path& folder, const Tokenizer& tokenizer);

}  // namespace expunge
