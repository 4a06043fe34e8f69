// `expunge inspect`: what is in a file or folder, for people.
#pragma once

#include <filesystem>

namespace expunge {

/// Prints what is in a checkpoint, run, metrics, token, evaluation or model file or folder. Throws Error(bad_input) for
/// anything else. Returns the process exit code.
int inspect(const std::filesystem::path& path);

}  // namespace expunge
