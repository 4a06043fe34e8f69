// Reads a timed run from its folder.
#include "commands/measured_run.h"

#include <fmt/format.h>

#include <cmath>
#include <span>
#include <string>
#include <vector>

#include "core/text.h"
#include "expunge/error.h"
#include "io/hdf5_seal.h"
#include "plan/options.h"
#include "run/option_tables.h"
#include "run/run_folder.h"
#include "run/step_metrics.h"
#include "store/checkpoint.h"

namespace expunge {
namespace {

namespace fs = std::filesystem;

/// The median of the steps' seconds, without the first step.
double median_seconds(const fs::path& folder, std::span<const StepMetrics> steps) {
  if (steps.size() < 2)
    fail(ExitCode::bad_input,
         fmt::format("--measured-run {}: needs at least two steps, because the first does not count", folder.string()));
  std::vector<double> seconds;
  for (const StepMetrics& step : steps.subspan(1)) {
    seconds.push_back(static_cast<double>(step.tokens) / step.tokens_per_second);
    if (!(seconds.back() > 0) || !std::isfinite(seconds.back()))
      fail(ExitCode::bad_input, fmt::format("--measured-run {}: metrics.h5: step {}: {} tokens at {} tokens/s give no positive "
                                            "time; take another run",
                                            folder.string(), step.step, step.tokens, step.tokens_per_second));
  }
  const auto middle = seconds.begin() + static_cast<std::ptrdiff_t>(seconds.size() / 2);
  std::ranges::nth_element(seconds, middle);
  return *middle;
}

/// Reads the checkpoint of a timed run, and checks its numbers of ranks and sequences.
CheckpointInfo read_timed_checkpoint(const fs::path& checkpoint) {
  CheckpointInfo info = CheckpointReader(checkpoint).info();
  if (info.world_size < 1 || info.world_size > PlanConfig::kMostRanks || info.global_batch < 1 ||
      info.global_batch > kLargestGlobalBatch)
    fail(ExitCode::bad_input,
         fmt::format("{}: {} ranks and {} sequences per step: expected 1 to {} and 1 to {}; take another run",
                     checkpoint.string(), info.world_size, info.global_batch, PlanConfig::kMostRanks, kLargestGlobalBatch));
  return info;
}

/// The recomputation that a checkpoint names.
RecomputePolicy recompute_of(const CheckpointInfo& info) {
  if (info.recompute == recompute_name(Recompute::block)) return RecomputePolicy::block;
  if (info.recompute == recompute_name(Recompute::light)) return RecomputePolicy::light;
  return RecomputePolicy::none;
}

}  // namespace

double reference_share(const MethodOptions& method, double positive_ratio) {
  double reference = 0, all = 0;
  for (const Term& term : make_objective(method)->terms()) {
    const double sequences = term.role == Role::forget ? 1 : positive_ratio;
    all += sequences;
    if (term.signal.uses_reference()) reference += sequences;
  }
  return reference / all;
}

TimedRun read_timed_run(const fs::path& folder) {
  const RunFolder run{folder};
  const auto checkpoints = list_checkpoints(run.checkpoints());
  if (!fs::exists(run.metrics()) || checkpoints.empty())
    fail(ExitCode::bad_input,
         fmt::format("--measured-run {}: expected a run folder with metrics.h5 and a checkpoint", folder.string()));
  const std::vector<StepMetrics> steps = read_step_metrics(open_sealed(run.metrics()));
  const double seconds = median_seconds(folder, steps);
  // The checkpoint has the options that the steps were made with; the file `config` may have been edited.
  const CheckpointInfo info = read_timed_checkpoint(checkpoints.front());
  const RunOptions options = read_run_options(info.config, checkpoints.front().string() + ": config");
  if (options.command == "unlearn" && !known_method(options.method.name))
    fail(ExitCode::bad_input, fmt::format("{}: config: method = {}: this version has no such method; take another run",
                                          checkpoints.front().string(), excerpt(options.method.name)));
  const auto ratio = static_cast<double>(options.samples.retain.positive_ratio);
  const double reference = options.command == "train" ? 0 : reference_share(options.method, ratio);
  BatchOptions as_made = options.batch;
  as_made.global = info.global_batch;
  const MicroBatch batch{std::max<std::int64_t>(1, steps.back().tokens / info.global_batch), as_made};
  const RunShape shape{read_llama_config(run.model() / "config.json"),
                       static_cast<int>(info.world_size),
                       batch.tokens(),
                       parse_dtype(info.dtype),
                       reference > 0,
                       options.compute.reduce_in_bf16,
                       false,
                       info.device == "cuda" ? DeviceType::cuda : DeviceType::cpu};
  const Policies policies = choose_policies(shape, recorded_gather(info.gather), recompute_of(info), 0);
  return {shape,
          policies,
          {static_cast<double>(info.global_batch), static_cast<int>(batch.length), batch.sequences(), reference,
           options.compute.prefetch},
          seconds};
}

}  // namespace expunge
