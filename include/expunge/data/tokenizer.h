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
/// special_tokens_map.json, added_tokens.json and the added tokens of tokenizer.json.
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
  /// Whether encode() ends with EOS.
  bool adds_eos() const;
  /// One more than the largest id, added tokens included.
  int vocabulary_size() const;
  /// SHA-256 of tokenizer.model and of every setting that decides about ids: equal hashes give equal ids.
  const std::string& hash() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace expunge
