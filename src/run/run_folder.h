// The folder of a run: its layout, its lock, and the checkpoint to resume from.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "expunge/communicator.h"
#include "io/file_lock.h"
#include "run/options.h"
#include "store/weights.h"

namespace expunge {

/// <output-dir>/ holds config (resolved options), model/ (config.json and tokenizer files), checkpoints/, metrics.h5, and
/// evaluations.h5 with --eval-steps. It holds labels.h5 and reference.h5 if the method draws labels or scores the original
/// model, and tensorboard/ on request. .expunge-run marks the folder; .expunge-lock exists while a job works on it.
struct RunFolder {
  std::filesystem::path root;
  std::filesystem::path config() const { return root / "config"; }
  std::filesystem::path model() const { return root / "model"; }
  std::filesystem::path checkpoints() const { return root / "checkpoints"; }
  std::filesystem::path metrics() const { return root / "metrics.h5"; }
  std::filesystem::path evaluations() const { return root / "evaluations.h5"; }
  std::filesystem::path labels() const { return root / "labels.h5"; }
  std::filesystem::path reference() const { return root / "reference.h5"; }
  std::filesystem::path tensorboard() const { return root / "tensorboard"; }
  std::filesystem::path lock() const { return root / ".expunge-lock"; }
  std::filesystem::path mark() const { return root / ".expunge-run"; }
  /// The files of a run directly in the folder.
  std::vector<std::filesystem::path> files() const {
    return {config(), metrics(), evaluations(), labels(), reference(), lock(), mark()};
  }
  /// Reads the text of config. Throws Error(bad_input).
  std::string read_config() const;
};

/// Locks the run's folder against other jobs; rank 0 has the lock. Collective. Throws
///   Error(usage)     if another job has the lock (names its host, process, job and start), or if the checkpoint that the run
///                    begins from has taken the run's `steps` already,
///   Error(output)    if the folder holds something else; it stays unchanged.
std::unique_ptr<FileLock> hold_run_folder(const Runtime& runtime, const RunOptions& config, std::int64_t steps);

/// True if a checkpoint lies in this run's folder, so that the run resumes it; false for another run's checkpoint.
bool is_of_run(const RunFolder& run, const std::filesystem::path& checkpoint);

/// Prepares the folder for this run, on rank 0, and returns the checkpoint to resume from; nothing for a fresh start. Copies
/// the model's side files, so that a checkpoint can be exported after the model is gone. Collective. Throws
///   Error(usage)     if the folder holds a run of another config (names the first key that differs),
///   Error(output)    if it holds anything at all with --resume-from-checkpoint none, or if a file of others has a name that
///                    the run needs.
std::optional<std::filesystem::path> prepare_run_folder(const Runtime& runtime, const RunOptions& config,
                                                        const WeightsSource& source);

}  // namespace expunge
