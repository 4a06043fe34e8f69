// The version of the program and of its libraries.
#pragma once

#include <string>

namespace expunge {

/// The text of --version: a line for the program, one for its kernels, and one for each library that affects numbers.
std::string version_text(const std::string& kernels);

}  // namespace expunge
