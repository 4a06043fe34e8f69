// The version of the program and what it was built with.
#pragma once

#include <string>

namespace expunge {

/// What --version prints: a line for the program and one for each library that numbers depend on.
std::string version_text();

}  // namespace expunge
