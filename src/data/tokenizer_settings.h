// Tokenizer settings of a Hugging Face folder, from its four JSON files.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "data/tokenizer_json.h"

namespace expunge {

/// A token that is taken out of the text before sentencepiece sees it.
struct AddedToken {
  std::string content;
  bool lstrip = false;       ///< also removes white space on its left
  bool rstrip = false;       ///< also removes white space on its right
  bool single_word = false;  ///< matches only beside a space or an end of the text
};

/// A token with a role (BOS, padding, ...). Its id may have to be found in the vocabulary.
struct SpecialToken {
  AddedToken token;
  bool has_flags;  ///< its flags replace those of an added token of the same content
};

struct TokenizerSettings {
  bool legacy = true;  ///< every stretch of text between added tokens gets a leading space, not only the first
  std::optional<bool> add_bos, add_eos;  ///< keys of tokenizer_config.json; null means no, unset means missing
  std::optional<TextFrame> frame;        ///< from a usable tokenizer.json, if a key is missing
  bool add_prefix_space = true;          ///< with legacy false: whether the first stretch gets a leading space
  bool split_special_tokens = false;     ///< treats added tokens as ordinary text
  std::optional<std::string> bos, eos, unk, pad;
  std::map<std::int32_t, AddedToken> added;  ///< by id
  std::vector<SpecialToken> special;         ///< in the order of new ids
};

/// Throws Error(bad_input) naming file and key.
TokenizerSettings read_tokenizer_settings(const std::filesystem::path& folder);

}  // namespace expunge
