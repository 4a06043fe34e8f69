// A run's folder, opened: held against other jobs, and ready to go on or to begin.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>

#include "io/file_lock.h"
#include "run/provenance.h"
#include "run/run_folder.h"
#include "store/checkpoint.h"
#include "store/io_thread.h"
#include "training/beginning.h"
#include "training/inputs.h"
#include "training/monitor.h"

namespace expunge {

struct OpenedRun {
  /// Makes or opens the folder. Collective. Throws as hold_run_folder(), prepare_run_folder() and describe_run() do.
  OpenedRun(const Session& session, const RunOptions& options, Inputs& inputs);

  RunFolder folder;
  std::unique_ptr<FileLock> lock;  ///< on rank 0
  Beginning beginning;
  std::optional<CheckpointReader> checkpoint;  ///< that the run goes on from
  IoThread io;
  std::optional<Monitor> monitor;
  CheckpointInfo info;  ///< what every checkpoint says of the run
  bool finished;        ///< all steps were done before; `info` is empty then

  /// The folder of `checkpoint`; empty for a run that begins anew.
  std::filesystem::path resumed() const { return beginning.checkpoint.value_or(std::filesystem::path()); }
  Provenance provenance() const { return {info.model_sha256, info.tokens_sha256, info.config, info.libraries, info.restarts}; }
};

}  // namespace expunge
