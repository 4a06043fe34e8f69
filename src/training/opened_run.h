// A run's folder, opened and locked against other jobs, ready to begin or to resume.
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
#include "training/in_run_evaluation.h"
#include "training/inputs.h"

namespace expunge {

struct OpenedRun {
  /// Makes or opens the folder. Collective. Throws as hold_run_folder(), prepare_run_folder() and checkpoint_info() do.
  OpenedRun(const Session& session, const RunOptions& options, const Inputs& inputs);

  RunFolder folder;
  std::unique_ptr<FileLock> lock;  ///< on rank 0
  Beginning beginning;
  std::optional<CheckpointReader> checkpoint;  ///< the one that the run continues from
  IoThread io;
  std::optional<InRunEvaluation> in_run;
  CheckpointInfo info;  ///< the record that every checkpoint stores
  bool finished;        ///< the run has taken all its steps already; `info` is empty then

  /// The folder of `checkpoint`; empty if the run begins anew.
  std::filesystem::path resumed() const { return beginning.checkpoint.value_or(std::filesystem::path()); }
  Provenance provenance() const { return {info.model_sha256, info.tokens_sha256, info.config, info.libraries, info.restarts}; }
};

}  // namespace expunge
