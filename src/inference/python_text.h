// Texts as Python's str makes them, since prompts are compared with those of programs in Python.
#pragma once

#include <string>
#include <string_view>

namespace expunge {

/// str.strip(): without white space at both ends, as Unicode has it. `text` is UTF-8, here and below.
std::string_view stripped(std::string_view text);
/// str.rstrip(): without white space at the end.
std::string_view right_stripped(std::string_view text);

/// str.capitalize(): the first letter as in a title, all others small. Throws Error(usage) where the C library cannot tell
/// letters of other alphabets than English from one another.
std::string capitalized(std::string_view text);

}  // namespace expunge
