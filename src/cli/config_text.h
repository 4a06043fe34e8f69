// Config text: `key = value` lines.
#pragma once

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

}  // namespace expunge
