// Text: UTF-8 validation, excerpts and counts for messages, replacements and shell words.
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace expunge {

/// Length of the valid UTF-8 prefix of `text` (RFC 3629: no surrogates, no overlong forms); its size if all of it is valid.
std::size_t valid_utf8_length(std::string_view text);

/// `text` with A to Z replaced by a to z.
std::string in_small_letters(std::string text);

/// The integer that the whole text spells; nullopt for any other text.
std::optional<std::int64_t> parse_whole(std::string_view text);

/// `text` with every `from` replaced by `to`, searched once from left to right.
std::string replace_all(std::string_view text, std::string_view from, std::string_view to);

/// `text` as one word of a shell command line, quoted if it needs quotes.
std::string shell_word(const std::string& text);

/// "1 document", "2 documents".
template <std::integral Count>
std::string counted(Count count, std::string_view noun) {
  std::string text = std::to_string(count) + " ";
  text += noun;
  return count == 1 ? text : text + "s";
}

/// At most 80 bytes of `text`, starting 60 bytes before byte `place`, where a parser stopped. "..." marks what is left out;
/// control characters and bytes that are not UTF-8 appear as "\x1b".
std::string excerpt(std::string_view text, std::size_t place = 0);

/// Excerpts of the first 12 names, joined by commas, and the number of further names.
std::string excerpt_list(const std::vector<std::string>& names);

}  // namespace expunge
