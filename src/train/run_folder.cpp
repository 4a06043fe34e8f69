// Preparing a run folder.
#include "expunge/train/run_folder.h"

#include <fmt/format.h>

#include <unistd.h>

#include <algorithm>

#include "expunge/core/error.h"
#include "expunge/core/log.h"
#include "expunge/core/process.h"
#include "expunge/io/files.h"
#include "expunge/io/model_folder.h"
#include "expunge/train/checkpoint.h"
#include "train/checkpoint_files.h"
#include "train/resolved_config.h"
#include "train/side_files.h"

namespace expunge {
namespace {

namespace fs = std::filesystem;

/// Nothing but what a job has from its first moment on.
bool holds_nothing(const RunFolder& run) {
  if (!fs::exists(run.root)) return true;
  const std::vector<fs::path> entries = list_folder(run.root);
  return entries.empty() || (entries.size() == 1 && entries.front() == run.lock());
}

/// A folder that no run of ours began. One with a lock and no config is of a job that was killed as it began.
void refuse_foreign(const RunFolder& run) {
  if (fs::exists(run.root) && !fs::is_directory(run.root))
    fail(ExitCode::output, fmt::format("{}: not a folder", run.root.string()));
  if (!holds_nothing(run) && !fs::exists(run.config()) && !fs::exists(run.lock()))
    fail(ExitCode::output, fmt::format("{}: not empty and not a run folder (it has no file 'config'); give an empty or new "
                                       "--output-dir",
                                       run.root.string()));
}

void refuse_other_config(const TrainConfig& config, const RunFolder& run) {
  const std::string old = run.read_config();
  const auto difference = first_difference(old, config.resolved);
  if (!difference) return;
  const auto& [key, before, after] = *difference;
  std::string hint;
  if (key == "global-batch-size")
    hint = fmt::format(" (it follows the number of ranks where it is not given: --global-batch-size {} goes on)", before);
  if (before == "(not set)")
    hint = fmt::format(" (if the file was damaged: `expunge inspect {}` prints the options as they were)",
                       list_checkpoints(run.checkpoints()).front().string());
  fail(ExitCode::usage,
       fmt::format("{}: this run was started with {} = {}, now {}{}; give the same options to resume, another --output-dir, or "
                   "--overwrite-output-dir to start afresh",
                   run.config().string(), key, before, after, hint));
}

/// Removes what a run of ours wrote, nothing else.
void clear(const RunFolder& run) {
  std::error_code error;
  for (const fs::path& path : {run.checkpoints(), run.metrics(), run.evaluations(), run.labels(), run.reference(),
                               run.tensorboard(), run.model(), run.config()})
    if (fs::remove_all(path, error); error)
      fail(ExitCode::output, fmt::format("{}: cannot be removed: {}", path.string(), error.message()));
}

/// Checks the folder against the options; true when a run of the same config lies there.
bool may_resume(const RunFolder& run, const TrainConfig& config) {
  if (config.overwrite_output_dir) clear(run);  // files of others, such as evaluations of the old run, stay
  if (config.overwrite_output_dir || holds_nothing(run)) return false;
  if (config.resume_from_checkpoint == "none")
    fail(ExitCode::output,
         fmt::format("{}: not empty, and --resume-from-checkpoint is none; use --overwrite-output-dir to start "
                     "afresh",
                     run.root.string()));
  if (list_checkpoints(run.checkpoints()).empty()) {  // nothing to go on from, and nothing to lose
    const auto difference = fs::exists(run.config()) ? first_difference(run.read_config(), config.resolved) : std::nullopt;
    if (difference)
      log_warning(fmt::format("{}: a run with {} = {}, now {}, left no checkpoint in it; it is begun afresh", run.root.string(),
                              difference->key, difference->before, difference->after));
    clear(run);
    return false;
  }
  refuse_other_config(config, run);
  return true;
}

void write_new_run(const RunFolder& run, const TrainConfig& config, const ModelSource& source) try {
  try {
    fs::create_directories(run.checkpoints());
    fs::create_directories(run.model());
    for (const auto& [name, path] : side_files(source))
      write_file_atomically(run.model() / name, read_file(path, kSideFileLimit));
  } catch (const fs::filesystem_error& error) {
    fail(ExitCode::output, fmt::format("{}: cannot be written: {}", run.root.string(), error.code().message()));
  }
  // Last: a folder with a config is a run folder.
  write_file_atomically(run.config(), config.resolved);
} catch (const Error&) {
  clear(run);
  throw;
}

/// The checkpoint that --resume-from-checkpoint names.
std::optional<fs::path> asked_checkpoint(const TrainConfig& config) {
  const std::string& asked = config.resume_from_checkpoint;
  if (asked == "auto" || asked == "none") return std::nullopt;
  return asked;
}

/// It is looked at before anything is made or removed.
void check_asked_checkpoint(const Runtime& runtime, const TrainConfig& config) {
  const std::optional<fs::path> asked = asked_checkpoint(config);
  if (!asked) return;
  if (!fs::exists(*asked / "manifest.json"))
    fail(ExitCode::bad_input,
         fmt::format("--resume-from-checkpoint {}: not a checkpoint; expected auto, none, or a folder like "
                     "RUN/checkpoints/step-000100",
                     asked->string()));
  verify_checkpoint(runtime, *asked);
  const std::string inside = fs::weakly_canonical(*asked).lexically_relative(fs::weakly_canonical(config.output_dir)).string();
  if (config.overwrite_output_dir && !inside.starts_with(".."))
    fail(ExitCode::usage,
         fmt::format("--overwrite-output-dir would remove {}, which --resume-from-checkpoint names; give another "
                     "--output-dir",
                     asked->string()));
}

/// Those that newest_good_checkpoint() passed over: one that stayed would count as the newest, and --save-total-limit would
/// remove good ones for it.
void set_aside_damaged(const RunFolder& run, const std::optional<fs::path>& good) {
  for (const fs::path& each : list_checkpoints(run.checkpoints())) {
    if (each == good) return;
    set_aside(each);
  }
  if (!good)
    log_warning(fmt::format("{}: no good checkpoint is left; the run begins again with its first step", run.root.string()));
}

/// How a refused job names the one that has the folder.
std::string describe_holder() {
  const std::string job = job_id();
  return fmt::format("process {} on host {}{}, since {}", getpid(), host_name(), job.empty() ? "" : ", job " + job, utc_now());
}

}  // namespace

std::string RunFolder::read_config() const {
  constexpr std::uint64_t kLimit = std::uint64_t{1} << 20;
  return read_file(config(), kLimit);
}

std::unique_ptr<FileLock> hold_run_folder(const Runtime& runtime, const TrainConfig& config) {
  check_asked_checkpoint(runtime, config);
  std::unique_ptr<FileLock> lock;
  on_root(runtime, [&] {
    const RunFolder run{config.output_dir};
    refuse_foreign(run);
    std::error_code error;
    fs::create_directories(run.root, error);
    if (error) fail(ExitCode::output, fmt::format("{}: cannot make the folder: {}", run.root.string(), error.message()));
    lock = std::make_unique<FileLock>(run.lock(), describe_holder());
    return std::string();
  });
  return lock;
}

std::optional<fs::path> prepare_run_folder(const Runtime& runtime, const TrainConfig& config, const ModelSource& source) {
  const RunFolder run{config.output_dir};
  const bool resume = on_root(runtime, [&] {
                        const bool found = may_resume(run, config);
                        if (found)
                          sweep_checkpoints(run.checkpoints());
                        else
                          write_new_run(run, config, source);
                        return std::string(found ? "resume" : "");
                      }) == "resume";
  if (auto asked = asked_checkpoint(config)) return asked;
  if (!resume) return std::nullopt;
  const std::optional<fs::path> good = newest_good_checkpoint(runtime, run.checkpoints());
  on_root(runtime, [&] {
    set_aside_damaged(run, good);
    return std::string();
  });
  return good;
}

}  // namespace expunge
