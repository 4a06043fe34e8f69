// Prepares a run folder.
#include "run/run_folder.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "core/log.h"
#include "expunge/error.h"
#include "io/files.h"
#include "io/hash.h"
#include "io/model_folder.h"
#include "run/config_changes.h"
#include "run/history.h"
#include "run/jsonl_log.h"
#include "run/option_tables.h"
#include "run/run_mark.h"
#include "store/checkpoint.h"
#include "store/checkpoint_files.h"
#include "store/tokenizer_files.h"

namespace expunge {
namespace {

namespace fs = std::filesystem;

/// Looks into the folder; throws Error(output) if no run of expunge began it.
RunContent own_content(const RunFolder& run) {
  RunContent content = look_into(run);
  if (content.kind == RunContent::Kind::foreign)
    fail(ExitCode::output, fmt::format("{}: {}; nothing in it was changed: give another --output-dir, or remove it yourself",
                                       run.root.string(), content.foreign));
  refuse_links(run);
  return content;
}

void refuse_other_config(const RunOptions& config, const RunFolder& run) {
  const std::string old = run.read_config();
  const auto difference = first_difference(old, config.resolved, config.defaults);
  if (!difference) {
    if (const std::vector<std::string> later = later_keys(old, config.resolved); !later.empty())
      log_info(fmt::format("{}: its version had no option {}; the run keeps that behaviour", run.config().string(),
                           fmt::join(later, ", ")));
    return;
  }
  if (const std::string command = read_run_options(old, run.config().string()).command; command != config.command)
    fail(ExitCode::usage, fmt::format("{}: is a run of `expunge {}`; give another --output-dir", run.root.string(), command));
  const auto& [key, before, after] = *difference;
  std::string hint;
  if (key == "global-batch-size")
    hint = fmt::format(" (if not given, it depends on the number of ranks: give --global-batch-size {})", before);
  if (before == "(not set)")
    hint = fmt::format(" (if the file was damaged: `expunge inspect {}` prints the original options)",
                       list_checkpoints(run.checkpoints()).front().string());
  fail(ExitCode::usage,
       fmt::format("{}: this run was started with {} = {}, now {}{}; give the same options to resume, another --output-dir, or "
                   "--overwrite-output-dir to start again",
                   run.config().string(), key, before, after, hint));
}

/// The checkpoint that --resume-from-checkpoint names.
std::optional<fs::path> asked_checkpoint(const RunOptions& config) {
  const std::string& asked = config.folder.resume_from;
  if (asked == "auto" || asked == "none") return std::nullopt;
  return asked;
}

/// True if the run began from this checkpoint of another run. A checkpoint that is gone is known by its path.
bool went_on_from(const RunFolder& run, const fs::path& other) {
  for (const fs::path& checkpoint : list_checkpoints(run.checkpoints())) {
    try {
      const std::vector<FormerRun> history = parse_history(CheckpointReader(checkpoint).info().history, checkpoint.string());
      if (history.empty() || history.back().how != FormerRun::kState) return false;
      const fs::path manifest = other / kManifest;
      return fs::exists(manifest) ? history.back().sha256 == sha256_file(manifest)
                                  : history.back().from == whole_path(other).string();
    } catch (const Error&) {  // a damaged checkpoint; earlier ones hold the same record
    }
  }
  return false;
}

/// Checks the folder against the options. True if it holds a run of the same config; else clears what a former start left.
bool may_resume(const RunFolder& run, const RunOptions& config, const RunContent& content) {
  if (content.kind == RunContent::Kind::nothing) return false;
  if (config.folder.overwrite) {
    clear_run(run, content.mark);
    return false;
  }
  if (config.folder.resume_from == "none")
    fail(ExitCode::output,
         fmt::format("{}: not empty, and --resume-from-checkpoint is none; use --overwrite-output-dir to start "
                     "again",
                     run.root.string()));
  if (list_checkpoints(run.checkpoints()).empty()) {  // nothing to resume, and nothing to lose
    const auto difference =
        fs::exists(run.config()) ? first_difference(run.read_config(), config.resolved, config.defaults) : std::nullopt;
    if (difference)
      log_warning(fmt::format("{}: a run with {} = {}, now {}, left no checkpoint in it; the run starts again",
                              run.root.string(), difference->key, difference->before, difference->after));
    clear_run(run, content.mark);
    return false;
  }
  refuse_other_config(config, run);
  if (const auto asked = asked_checkpoint(config); asked && !is_of_run(run, *asked) && !went_on_from(run, *asked))
    fail(ExitCode::usage,
         fmt::format("--resume-from-checkpoint {}: the run in {} did not begin from it; give another --output-dir, or "
                     "--overwrite-output-dir to start again",
                     asked->string(), run.root.string()));
  return true;
}

/// Adds the --log-jsonl file to the mark. Throws Error(output) for a file that this run did not begin.
void add_log(const RunOptions& config, RunMark& mark) {
  if (mark.logs.empty() && mark.id.empty()) mark.id = new_run_id();
  if (config.log.jsonl.empty()) return;
  const std::string log = whole_path(config.log.jsonl).string();
  if (std::ranges::find(mark.logs, log) != mark.logs.end()) return JsonlLog::check(log, mark.id);
  if (std::error_code unknown; fs::is_regular_file(fs::symlink_status(log, unknown)) && !fs::is_empty(log, unknown))
    fail(ExitCode::output,
         fmt::format("--log-jsonl {}: exists already, but this run did not begin it; give another name or remove it", log));
  mark.logs.push_back(log);
}

/// Writes the first files of a run. The mark comes first, so that a killed start leaves a folder that is known to be ours.
void write_new_run(const RunFolder& run, const RunOptions& config, const WeightsSource& source, const RunMark& begun) {
  std::map<fs::path, std::string> files = {{run.config(), config.resolved}};
  for (const auto& [name, path] : side_files(source)) files[run.model() / name] = read_file(path, kSideFileLimit);
  RunMark mark{{}, begun.logs, begun.id};
  for (const auto& [path, content] : files) {
    if (fs::exists(fs::symlink_status(path)))
      fail(ExitCode::output, fmt::format("{}: is not a file of expunge, but the run needs this name; move it", path.string()));
    mark.files[path.lexically_relative(run.root)] = sha256_text(content);
  }
  write_mark(run, mark);
  try {
    make_folder(run.checkpoints());
    make_folder(run.model());
    for (const auto& [path, content] : files) write_file_atomically(path, content, Existing::keep);
  } catch (const Error&) {
    clear_run(run, mark);
    throw;
  }
}

/// Checks the checkpoint of --resume-from-checkpoint, before anything is made or removed.
void check_asked_checkpoint(const Runtime& runtime, const RunOptions& config, std::int64_t steps) {
  const std::optional<fs::path> asked = asked_checkpoint(config);
  const RunFolder run{config.folder.path};
  if (!asked || (!config.folder.overwrite && !is_of_run(run, *asked) && went_on_from(run, *asked))) return;
  if (!fs::exists(*asked / kManifest))
    fail(ExitCode::bad_input,
         fmt::format("--resume-from-checkpoint {}: not a checkpoint; expected auto, none, or a folder like "
                     "RUN/checkpoints/step-000100",
                     asked->string()));
  verify_checkpoint(runtime, *asked);
  if (is_of_run(run, *asked)) return;
  if (const std::int64_t made = CheckpointReader(*asked).info().step; made >= steps)
    fail(ExitCode::usage,
         fmt::format("--resume-from-checkpoint {}: has {} optimizer steps already, but this run ends after {}; give a larger "
                     "--max-steps",
                     asked->string(), made, steps));
}

/// Throws Error(output) if a file of others lies where the run will write checkpoints, after the one that it resumes.
void refuse_foreign_after(const RunFolder& run, const std::optional<fs::path>& good) {
  const std::string last = good ? fs::weakly_canonical(*good).filename().string() : step_name(0);
  if (!fs::is_directory(run.checkpoints())) return;
  for (const fs::path& entry : list_folder(run.checkpoints())) {
    const std::string name = entry.filename().string();
    if (!is_step_name(name) || std::pair(name.size(), name) <= std::pair(last.size(), last)) continue;
    if (const auto foreign = foreign_in_checkpoint(entry))
      fail(ExitCode::output, fmt::format("{}: lies where the run writes a checkpoint, but is no part of one; move it to resume",
                                         foreign->string()));
  }
}

/// Renames the damaged checkpoints after `good`. Otherwise one would count as the newest, and --save-total-limit would remove
/// good ones for it.
void set_aside_damaged(const RunFolder& run, const std::optional<fs::path>& good) {
  for (const fs::path& each : list_checkpoints(run.checkpoints())) {
    if (each == good) return;
    set_aside(each);
  }
  if (!good)
    log_warning(fmt::format("{}: no good checkpoint is left; the run begins again at its first step", run.root.string()));
}

}  // namespace

std::string RunFolder::read_config() const {
  constexpr std::uint64_t kLimit = std::uint64_t{1} << 20;
  return read_file(config(), kLimit);
}

bool is_of_run(const RunFolder& run, const fs::path& checkpoint) {
  return fs::weakly_canonical(checkpoint).parent_path() == fs::weakly_canonical(run.checkpoints());
}

std::unique_ptr<FileLock> hold_run_folder(const Runtime& runtime, const RunOptions& config, std::int64_t steps) {
  check_asked_checkpoint(runtime, config, steps);
  std::unique_ptr<FileLock> lock;
  on_root(runtime, [&] {
    const RunFolder run{config.folder.path};
    (void)own_content(run);  // checked again under the lock
    make_folder(run.root);
    lock = std::make_unique<FileLock>(run.lock());
    for (const fs::path& folder : {run.root, run.model()}) remove_stale_staging(folder);
  });
  return lock;
}

std::optional<fs::path> prepare_run_folder(const Runtime& runtime, const RunOptions& config, const WeightsSource& source) {
  const RunFolder run{config.folder.path};
  const bool resume = on_root(runtime, [&] {
    RunContent content = own_content(run);
    add_log(config, content.mark);
    const bool found = may_resume(run, config, content);
    if (found) {
      sweep_checkpoints(run.checkpoints());
      write_mark(run, content.mark);
    } else {
      write_new_run(run, config, source, content.mark);
    }
    return found;
  });
  const std::optional<fs::path> asked = asked_checkpoint(config);
  if (asked && (!resume || is_of_run(run, *asked))) {
    on_root(runtime, [&] { refuse_foreign_after(run, is_of_run(run, *asked) ? asked : std::nullopt); });
    return asked;
  }
  if (!resume) return std::nullopt;
  const std::optional<fs::path> good = newest_good_checkpoint(runtime, run.checkpoints());
  if (asked && !good) return asked;
  on_root(runtime, [&] {
    set_aside_damaged(run, good);
    refuse_foreign_after(run, good);
  });
  return good;
}

}  // namespace expunge
