// Text from outside: whether it is UTF-8, and as much of it as a message can show.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace expunge {

/// Where `text` stops being valid UTF-8 (RFC 3629: no surrogates, no overlong forms); its size if it never does.
std::size_t valid_utf8_length(std::string_view text);

/// `text` with a to z in place of A to Z.
std::string in_small_letters(std::string text);

/// The number that the whole text is; nothing for any other text.
std::optional<std::int64_t> parse_whole(std::string_view text);

/// At most 80 bytes of `text`, from 60 before byte `place` on: what a parser had read when it stopped, and a little more.
/// "..." stands for what is left out, "\x1b" for control characters and bytes that are not UTF-8.
std::string excerpt(std::string_view text, std::size_t place = 0);

/// Excerpts of the first 12 names, joined by commas, and how many more there are.
std::string excerpt_list(const std::vector<std::string>& names);

}  // namespace expunge
