// Text functions of Python's str, because prompts must equal those of programs in Python.
#pragma once

#include <string>
#include <string_view>

namespace expunge {

/// str.strip(): without Unicode white space at both ends. `text` is UTF-8, here and below.
std::string_view stripped(std::string_view text);
/// str.rstrip(): without white space at the end.
std::string_view right_stripped(std::string_view text);

/// str.capitalize(): title case for the first letter, small letters for the others. Throws Error(usage) if the C library has no
/// locale C.UTF-8, and so no case for letters beyond ASCII.
std::string capitalized(std::string_view text);

}  // namespace expunge
