// The version of the program and what it was built with.
#pragma once

#include <string>

namespace expunge {

/// What --version prints: a line for the program, one for the kernels that compute, and one for each library that numbers
/// depend on.
std::string version_text(const std::string& kernels);

}  // namespace expunge
