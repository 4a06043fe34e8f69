// `expunge verify`: compares the hashes that a run or an exported model records with the files on disk.
#pragma once

#include <filesystem>

#include "commands/run_command.h"

namespace expunge {

struct VerifyConfig {
  std::filesystem::path path;  ///< a run folder, or a model folder of expunge export
};
/// The table refers to `config`, which must outlive it at the same address.
OptionTable verify_options(VerifyConfig& config);
Command verify_command();

}  // namespace expunge
