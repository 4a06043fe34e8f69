// Config text: `key = value` lines.
#pragma once

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

}  // namespace expunge
