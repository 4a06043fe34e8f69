// Compares a run's inputs with those of its checkpoint, and records what the run begins from.
#include "training/beginning.h"

#include <fmt/format.h>
#include <re2/re2.h>

#include <algorithm>

#include "core/log.h"
#include "core/process.h"
#include "core/text.h"
#include "expunge/error.h"
#include "io/files.h"
#include "io/hash.h"
#include "run/history.h"
#include "run/option_tables.h"
#include "run/run_folder.h"
#include "store/tokenizer_files.h"
#include "training/reference.h"

namespace expunge {
namespace {

namespace fs = std::filesystem;

/// Compares the sample order by the hash of its file, or by its path if an earlier version recorded no hash.
void check_sample_order(const RunOptions& config, const CheckpointInfo& before, const std::string& sha256) {
  const std::string was = read_run_options(before.config, "the checkpoint's config").samples.order.string();
  const std::string is = config.samples.order.empty() ? "" : whole_path(config.samples.order).string();
  const bool recorded = !before.sample_order_sha256.empty();
  if (was.empty() != is.empty() || (!recorded && was != is))
    fail(ExitCode::usage, fmt::format("--sample-order: this run was started with {}, now {}; give the same to resume",
                                      was.empty() ? "none" : was, is.empty() ? "none" : is));
  if (recorded) refuse_changed("the file of --sample-order", config.samples.order, before.sample_order_sha256, sha256);
}

/// Throws Error(bad_input) if an input differs from the one that the checkpoint records.
void compare_inputs(const RunOptions& config, const WeightsSource& source, const Beginning& beginning,
                    const CheckpointInfo& info) {
  const CheckpointInfo& before = *beginning.before;
  if (!beginning.own) {
    if (before.model_sha256 != info.model_sha256)
      fail(ExitCode::bad_input,
           fmt::format("--resume-from-checkpoint {}: its run began from the original model with SHA-256 {}, but --model {} has "
                       "{}; give that model as --model, or give the checkpoint itself as --model to begin from its weights",
                       beginning.checkpoint->string(), before.model_sha256, source.weights.string(), info.model_sha256));
    return;
  }
  const fs::path own = RunFolder{config.folder.path}.model();
  refuse_changed_side_files(before.model_files, source.side_files, side_files(source));
  refuse_changed_side_files(before.model_files, own, side_files(own));
  refuse_changed("the token file", config.input.tokens, before.tokens_sha256, info.tokens_sha256);
  refuse_changed("the original model", source.weights, before.model_sha256, info.model_sha256);
  check_sample_order(config, before, info.sample_order_sha256);
}

std::string history_of(const WeightsSource& source, const Beginning& beginning, const std::string& model_sha256) {
  if (beginning.own) return beginning.before->history;
  return history_text(beginning.checkpoint ? history_of_checkpoint(*beginning.checkpoint, FormerRun::kState)
                                           : history_of_model(source, model_sha256));
}

}  // namespace

void refuse_changed(const char* what, const fs::path& path, const std::string& was, const std::string& now) {
  if (was != now)
    fail(ExitCode::bad_input, fmt::format("{}: {} changed since the run began (SHA-256 {}, was {}); restore it to resume",
                                          path.string(), what, now, was));
}

CheckpointInfo checkpoint_info(const Session& session, const RunOptions& config, const WeightsSource& source,
                               const std::vector<UnitLayout>& units, const std::string& tokens_sha256,
                               const Beginning& beginning) {
  const Runtime& runtime = session.runtime();
  CheckpointInfo info;
  info.global_batch = config.batch.global;
  info.world_size = session.world_size();
  info.seed = config.samples.seed;
  info.dtype = dtype_name(config.compute.dtype);
  info.device = device_name(runtime.device.type);
  info.comm = session.comm_name();
  info.config = config.resolved;
  info.version = EXPUNGE_VERSION;
  info.libraries = config.libraries;
  info.host = host_name();
  info.job_id = job_id();
  // A requeued job counts as a restart even if it was killed before its first checkpoint.
  info.restarts = std::max(beginning.own ? beginning.before->restarts + 1 : 0, job_restarts());
  info.model_sha256 = model_sha256(source, runtime, units);
  info.tokens_sha256 = tokens_sha256;
  info.sample_order_sha256 = hash_if_there(runtime, config.samples.order);
  on_root(runtime, [&] {
    if (beginning.before) compare_inputs(config, source, beginning, info);
  });
  info.model_files =
      on_root(runtime, [&] { return beginning.own ? beginning.before->model_files : hash_side_files(side_files(source)); });
  info.history = on_root(runtime, [&] { return history_of(source, beginning, info.model_sha256); });
  return info;
}

std::int64_t adopted_step(const Beginning& beginning) {
  if (!beginning.before) return 0;
  if (!beginning.own) return beginning.before->step;
  std::int64_t step = 0;
  for (const FormerRun& former : parse_history(beginning.before->history, beginning.checkpoint->string()))
    if (former.how == FormerRun::kState) step = former.step;
  return step;
}

void warn_of_other_sums(const Session& session, const CheckpointInfo& before) {
  std::string was;  // empty if an earlier version recorded no kernels
  RE2::PartialMatch(before.libraries, "(?m)^ +kernels +(.+)$", &was);
  if (session.rank() != 0) return;
  if (before.world_size != session.world_size())
    log_warning(fmt::format(
        "the run began on {} ranks and continues on {}: sums are rounded in another order, so the result is not bitwise that "
        "of an uninterrupted run",
        before.world_size, session.world_size()));
  if (was == session.kernels()) return;
  log_warning(fmt::format(
      "the run began with {} and continues with kernels of {}: the result is {} bitwise that of an uninterrupted run",
      was.empty() ? "kernels that its checkpoint does not record" : "kernels of " + excerpt(was), session.kernels(),
      was.empty() ? "perhaps not" : "not"));
}

void warn_of_what_was_learnt(const RunOptions& config, const CheckpointInfo& info) {
  if (config.input.domain.empty()) return;
  for (const FormerRun& former : parse_history(info.history, config.folder.path.string())) {
    if (former.tokens_sha256 != info.tokens_sha256 || former.how == FormerRun::kState) continue;
    const RunOptions options = former.options();
    std::vector<std::string> learnt = options.input.splits;
    if (!options.input.domain.empty()) learnt.push_back(options.input.domain);
    for (const std::string& split : learnt) {
      if (split == config.input.domain + "/approximate")
        log_warning(fmt::format("{}: trained on {}, which the metrics treat as text that the original model never saw",
                                former.from, split));
      if (config.method.name == "retrain" && (split == config.input.domain + "/forget" || split == config.input.domain))
        log_warning(fmt::format("{}: trained on {}/forget, but --method retrain needs a model that never saw it", former.from,
                                config.input.domain));
    }
  }
}

}  // namespace expunge
