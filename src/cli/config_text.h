// Config text: `key = value` lines, and differences between the configs of two runs.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace expunge {

/// One `key = value` line. Underscores in the key become dashes; the value may be empty.
struct ConfigEntry {
  std::string key, value;
  int line = 0;  ///< counted from 1
};

/// Reads config text. A line is `key = value`; '#' starts a comment at a line's start or after a blank. For any other line
/// throws Error(usage) with `origin`, normally a file name, and the line number.
std::vector<ConfigEntry> read_config_text(std::string_view text, const std::string& origin);

/// Whether `value` survives being written as `key = value` and read again.
bool fits_config_text(std::string_view value);

/// Whether an option may change on resume, because it only says where, how often or how fast.
bool may_change(std::string_view key);
/// False for options that may change on resume, and for inputs that are compared by their hashes.
bool decides_result(std::string_view key);

struct Difference {
  std::string key;
  std::string before, after;  ///< "(not set)" if the key is absent or empty; a list's values joined by ", "
};

/// Keys that affect the result and differ between the texts, in the order of `new_text`. A key that `old_text` of an earlier
/// version lacks has its value in `defaults`. Throws Error(usage) if a text is not config text.
std::vector<Difference> changed_options(std::string_view old_text, std::string_view new_text, std::string_view defaults = {});
/// The first of these differences.
std::optional<Difference> first_difference(std::string_view old_text, std::string_view new_text,
                                           std::string_view defaults = {});
/// Keys of `new_text` that affect the result and that `old_text` does not mention.
std::vector<std::string> later_keys(std::string_view old_text, std::string_view new_text);

}  // namespace expunge
