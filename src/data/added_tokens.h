// Splits a text into added tokens and the text between them.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "data/tokenizer_settings.h"

namespace expunge {

/// Length limit of an added token in bytes. The search takes time proportional to it at each byte of a hostile text.
inline constexpr std::size_t kLongestAddedToken = 1024;

/// The added tokens of a tokenizer by their text.
class AddedTokens {
 public:
  AddedTokens() = default;
  /// Keeps references into `added`. The caller has refused tokens with equal text.
  explicit AddedTokens(const std::map<std::int32_t, AddedToken>& added);

  /// The token that equals `text`; null if there is none.
  const AddedToken* exactly(const std::string& text) const;
  /// The longest token at the beginning of the non-empty `text`; empty if there is none.
  std::string_view at_front_of(std::string_view text) const;
  std::size_t longest() const { return longest_; }

 private:
  std::unordered_map<std::string_view, const AddedToken*> by_text_;
  std::vector<std::string_view> sorted_;
  std::array<bool, 256> begins_ = {};  // by byte: whether a token begins with it
  std::size_t longest_ = 0;
};

/// The parts of a text in order: added tokens and the text between them. Applies lstrip, rstrip and single_word from the
/// left; each token sees the changes of earlier ones. Holds three parts at a time.
class TextParts {
 public:
  /// If `whole`, the text is one part.
  TextParts(const AddedTokens& tokens, std::string_view text, bool whole);
  /// The next part, which may be empty; false at the end.
  bool next(std::string& part);

 private:
  std::optional<std::string> take();

  const AddedTokens& tokens_;
  std::string_view rest_;
  bool whole_;
  std::optional<std::string> done_, current_;  // a final part, and the part after it
};

}  // namespace expunge
