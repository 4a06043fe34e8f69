// `expunge inspect`: shows the content of a file or folder.
#pragma once

#include <filesystem>

#include "commands/run_command.h"

namespace expunge {

/// Prints the content of a checkpoint, run, metrics, token, evaluation or model file or folder. Throws Error(bad_input) for
/// anything else. Returns the process exit code.
int inspect(const std::filesystem::path& path);

struct InspectConfig {
  std::filesystem::path path;
};
/// The table refers to `config`, which must outlive it at the same address.
OptionTable inspect_options(InspectConfig& config);
Command inspect_command();

}  // namespace expunge
