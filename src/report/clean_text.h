// Text from files, fit for a page.
#pragma once

#include <string>

namespace expunge {

/// `text` as valid UTF-8 without control characters: wrong bytes become U+FFFD, control characters but line breaks and tabs
/// become blanks.
std::string clean_text(const std::string& text);

}  // namespace expunge
