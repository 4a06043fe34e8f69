// The folder of a run: what lies where, and whether a start is fresh, a resume or a finished run.
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

/// <output-dir>/ config (resolved options), model/ (config.json and tokenizer files), checkpoints/, metrics.h5; with
/// --eval-steps evaluations.h5; labels.h5 and reference.h5 where the method made labels or scored the original model;
/// tensorboard/ where asked for; .expunge-run, by which it is told from other folders; .expunge-lock while a job works on it.
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
  /// The files of a run that lie in the folder itself.
  std::vector<std::filesystem::path> files() const {
    return {config(), metrics(), evaluations(), labels(), reference(), lock(), mark()};
  }
  /// The text of config. Throws Error(bad_input).
  std::string read_config() const;
};

/// Makes sure that no other job works on the run's folder while the lock lives, which rank 0 has. Collective. Throws
///   Error(usage)     when one does (names its host, process, job and start), or when the checkpoint that the run is to begin
///                    from has made the run's `steps` already,
///   Error(output)    when the folder holds something else, of which nothing is touched.
std::unique_ptr<FileLock> hold_run_folder(const Runtime& runtime, const RunOptions& config, std::int64_t steps);

/// Whether a checkpoint is one of this run's folder, which it resumes; another run's, by --resume-from-checkpoint, is what a
/// run begins from.
bool is_of_run(const RunFolder& run, const std::filesystem::path& checkpoint);

/// Makes the folder ready for this run, on rank 0, and says what to resume from: nothing for a fresh start. The model's
/// side files are copied, so that a checkpoint can be exported after the model is gone. Collective. Throws
///   Error(usage)     when the folder holds a run of another config (names the first key that differs),
///   Error(output)    when it holds anything at all, with --resume-from-checkpoint none, or when a file of somebody else has a
///                    name that the run needs.
std::optional<std::filesystem::path> prepare_run_folder(const Runtime& runtime, const RunOptions& config,
                                                        const WeightsSource& source);

}  // namespace expunge
