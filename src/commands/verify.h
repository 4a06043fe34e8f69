// `expunge verify`: the hashes that a run or an exported model names, held against what lies on disk.
#pragma once

#include <filesystem>

#include "commands/run_command.h"

namespace expunge {

struct VerifyConfig {
  std::filesystem::path path;  ///< a run folder, or a model folder of expunge export
};
/// The table refers to `config`, which must outlive it and stay in place.
OptionTable verify_options(VerifyConfig& config);
Command verify_command();

}  // namespace expunge
