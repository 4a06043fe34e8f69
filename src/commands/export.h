// `expunge export`: a checkpoint as a Hugging Face folder.
#pragma once

#include <filesystem>
#include <optional>

#include "commands/run_command.h"
#include "expunge/dtype.h"

namespace expunge {

/// Options of `expunge export`.
struct ExportConfig {
  std::filesystem::path checkpoint, output_dir;  ///< checkpoint: a run folder, whose newest is taken, or a checkpoint folder
  std::optional<DType> dtype;                    ///< of the written weights; unset: as the model's config.json says
  bool quiet = false;
};

/// The table refers to `config`, which must outlive it and stay in place.
OptionTable export_options(ExportConfig& config);
Command export_command();

}  // namespace expunge
