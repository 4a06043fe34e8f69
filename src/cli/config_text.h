// Config text: `key = value` lines, and what differs between the configs of two runs.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace expunge {

/// One `key = value` line. Underscores of the key are read as dashes; the value may be empty.
struct ConfigEntry {
  std::string key, value;
  int line = 0;  ///< counted from 1
};

/// Reads config text: a line is `key = value`, and '#' starts a comment at a line's start or after a blank.
/// Throws Error(usage) with `origin`, normally a file name, and the line for any other line.
std::vector<ConfigEntry> read_config_text(std::string_view text, const std::string& origin);

/// True when `value` reads back as itself from `key = value`.
bool fits_config_text(std::string_view value);

/// True for options that may change on resume: they say where, how often or how fast.
bool may_change(std::string_view key);
/// False for options that say where, how often or how fast, but not what is computed; they may change on resume. False for
/// inputs that are compared by their hashes, too.
bool decides_result(std::string_view key);

struct Difference {
  std::string key;
  std::string before, after;  ///< "(not set)" where the key is absent or empty; a list's values joined by ", "
};

/// The keys, in the order of `new_text`, that decide the result and have another value in `old_text`. A key that `old_text`
/// lacks, as an earlier version wrote it, has the value that it has in `defaults`. Throws Error(usage) when one of them is not
/// config text.
std::vector<Difference> changed_options(std::string_view old_text, std::string_view new_text, std::string_view defaults = {});
/// The first of them.
std::optional<Difference> first_difference(std::string_view old_text, std::string_view new_text,
                                           std::string_view defaults = {});
/// Those keys.
std::vector<std::string> later_keys(std::string_view old_text, std::string_view new_text);

}  // namespace expunge
