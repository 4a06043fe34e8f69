// What a Hugging Face folder says about its tokenizer, gathered from its four JSON files.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "data/tokenizer_json.h"

namespace expunge {

/// A token that is cut out of the text before sentencepiece sees it.
struct AddedToken {
  std::string content;
  bool lstrip = false;       ///< swallows white space on its left
  bool rstrip = false;       ///< and on its right
  bool single_word = false;  ///< only where a space or an end of the text is beside it
};

/// A token with a role (BOS, padding, ...), whose id may still have to be found in the vocabulary.
struct SpecialToken {
  AddedToken token;
  bool has_flags;  ///< its flags replace those of an added token of the same content
};

struct TokenizerSettings {
  bool legacy = true;  ///< every stretch of text between added tokens gets a space in front, not the first alone
  std::optional<bool> add_bos, add_eos;  ///< keys of tokenizer_config.json, whose null is a no; unset where they are not there
  std::optional<TextFrame> frame;        ///< of tokenizer.json, where a key is not there and the file can be used
  bool add_prefix_space = true;          ///< with legacy false: whether the first stretch gets it
  bool split_special_tokens = false;     ///< added tokens in the text are ordinary text
  std::optional<std::string> bos, eos, unk, pad;
  std::map<std::int32_t, AddedToken> added;  ///< by id
  std::vector<SpecialToken> special;         ///< in the order in which new ids are given out
};

/// Throws Error(bad_input) naming file and key.
TokenizerSettings read_tokenizer_settings(const std::filesystem::path& folder);

}  // namespace expunge
