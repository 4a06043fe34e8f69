// Opens a run's folder.
#include "training/opened_run.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/log.h"
#include "data/label_file.h"
#include "expunge/error.h"
#include "io/files.h"
#include "training/reference.h"

namespace expunge {
namespace {

namespace fs = std::filesystem;

/// Warns if another model drew the labels. This is no error: labels of a teacher model are valid.
void warn_of_other_labels(const RunOptions& config, const std::string& model_sha256) {
  if (config.labels.given.empty()) return;
  const std::string drew = read_label_origin(config.labels.given).model_sha256;
  if (!drew.empty() && drew != model_sha256)
    log_warning(fmt::format("--labels {}: drawn from the original model with SHA-256 {}, but the run's has {}",
                            config.labels.given.string(), drew, model_sha256));
}

/// Checks the files that a run writes outside its folder.
void check_other_outputs(const RunOptions& config, const RunFolder& run) {
  check_saved_labels(config.labels, run);
  const fs::path &log = config.log.jsonl, folder = log.parent_path();
  if (log.empty()) return;
  if (fs::exists(fs::symlink_status(log)))
    (void)AppendFile(log);
  else if (folder.empty() || fs::exists(folder))
    check_writable(log);
  else
    check_folder_writable(folder);
}

/// Finds the checkpoint that the run continues from.
Beginning begin(const Runtime& runtime, const RunOptions& options, const RunFolder& run, const WeightsSource& source,
                std::optional<CheckpointReader>& reader) {
  Beginning beginning{prepare_run_folder(runtime, options, source), {}};
  if (!beginning.checkpoint) return beginning;
  beginning.before = reader.emplace(*beginning.checkpoint).info();
  beginning.own = is_of_run(run, *beginning.checkpoint);
  return beginning;
}

}  // namespace

OpenedRun::OpenedRun(const Session& session, const RunOptions& options, const Inputs& inputs) : folder{options.folder.path} {
  const Runtime& runtime = session.runtime();
  on_root(runtime, [&] { check_other_outputs(options, folder); });
  lock = hold_run_folder(runtime, options, inputs.length.steps);
  beginning = begin(runtime, options, folder, inputs.source, checkpoint);
  const std::optional<CheckpointInfo>& before = beginning.before;
  if (inputs.evaluation_spec)
    in_run.emplace(runtime, folder.evaluations(), *inputs.evaluation_spec, beginning.own ? before->step : 0,
                   adopted_step(beginning), beginning.own ? resumed() : fs::path(), io);
  const std::int64_t steps = inputs.length.steps;
  const bool evaluated = !in_run || !before || in_run->recorded() >= before->step;
  finished = beginning.own && evaluated && before->step >= std::min(steps, before->total_steps);
  if (finished) {
    log_info(fmt::format("{}: finished already, all {} steps are done", folder.root.string(), before->step));
    return;
  }
  info = checkpoint_info(session, options, inputs.source, inputs.units, inputs.tokens_sha256, beginning);
  info.total_steps = beginning.own ? std::min(steps, before->total_steps) : steps;
  if (session.rank() != 0) return;
  warn_of_other_labels(options, info.model_sha256);
  warn_of_what_was_learnt(options, info);
}

}  // namespace expunge
