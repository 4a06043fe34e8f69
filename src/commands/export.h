// `expunge export`: writes a checkpoint as a Hugging Face folder.
#pragma once

#include <filesystem>
#include <optional>

#include "commands/run_command.h"
#include "expunge/dtype.h"

namespace expunge {

/// Options of `expunge export`.
struct ExportConfig {
  std::filesystem::path checkpoint, output_dir;  ///< checkpoint: a run folder, for its newest one, or a checkpoint folder
  std::optional<DType> dtype;                    ///< of the written weights; unset: that of the model's config.json
  bool quiet = false;
};

/// The table refers to `config`, which must outlive it at the same address.
OptionTable export_options(ExportConfig& config);
Command export_command();

}  // namespace expunge
