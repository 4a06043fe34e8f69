// Cleans text from files for a page.
#pragma once

#include <string>

namespace expunge {

/// `text` as valid UTF-8 without control characters. Wrong bytes become U+FFFD; control characters become blanks, except line
/// breaks and tabs.
std::string clean_text(const std::string& text);

}  // namespace expunge
