// Cutting a text into added tokens and what lies between them.
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

/// The longest added token that is searched for, in bytes: a text full of beginnings of longer ones would take as many steps
/// for each of its bytes.
inline constexpr std::size_t kLongestAddedToken = 1024;

/// The added tokens of a tokenizer by their text.
class AddedTokens {
 public:
  AddedTokens() = default;
  /// `added` stays where it is. Two tokens with the same text must have been refused.
  explicit AddedTokens(const std::map<std::int32_t, AddedToken>& added);

  /// The token that is all of `text`; null for none.
  const AddedToken* exactly(const std::string& text) const;
  /// The longest token that `text`, which is not empty, begins with; empty for none.
  std::string_view at_front_of(std::string_view text) const;
  std::size_t longest() const { return longest_; }

 private:
  std::unordered_map<std::string_view, const AddedToken*> by_text_;
  std::vector<std::string_view> sorted_;
  std::array<bool, 256> begins_ = {};  // by byte: whether a token begins with it
  std::size_t longest_ = 0;
};

/// The parts of a text in order: added tokens and what lies between them, after lstrip, rstrip and single_word have been
/// applied from the left, each token seeing what earlier ones have changed. Holds three parts at a time.
class TextParts {
 public:
  /// With `whole` the text is one part.
  TextParts(const AddedTokens& tokens, std::string_view text, bool whole);
  /// The next part, which may be empty; false at the end.
  bool next(std::string& part);

 private:
  std::optional<std::string> take();

  const AddedTokens& tokens_;
  std::string_view rest_;
  bool whole_;
  std::optional<std::string> done_, current_;  // a part that is final, and the one behind it
};

}  // namespace expunge
