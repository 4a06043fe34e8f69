// The common parts of `expunge train` and `expunge unlearn`.
#include "commands/start_training.h"

#include <fmt/format.h>

#include <algorithm>

#include "commands/shared_options.h"
#include "commands/start.h"
#include "expunge/error.h"
#include "run/compute_options.h"
#include "run/option_tables.h"
#include "run/run_name.h"
#include "training/run_length.h"
#include "training/training.h"

namespace expunge {
namespace {

/// G and the accumulation set the same number: the later source wins. resolve() checks whether two of one source agree.
void settle_batch(RunOptions& config, const OptionTable& given) {
  const OptionSource global = given.source("global-batch-size"), accumulation = given.source("gradient-accumulation-steps");
  if (global > accumulation && config.batch.global > 0) config.batch.accumulation = 0;
  if (accumulation > global) config.batch.global = 0;
}

/// A sample order excludes shuffling: the later source of the two options wins.
void settle_order(RunOptions& config, const OptionTable& given) {
  if (config.samples.order.empty()) return;
  const OptionSource order = given.source("sample-order"), shuffle = given.source("shuffle");
  if (config.samples.shuffle && shuffle == order)
    fail(ExitCode::usage, "--sample-order fixes the order of sequences, but --shuffle on changes it; give one of them");
  if (config.samples.shuffle && shuffle > order) config.samples.order.clear();
  if (order > shuffle) config.samples.shuffle = false;
}

}  // namespace

void check_training(RunOptions& config, const OptionTable& given) {
  check_compute(config.compute, given);
  const bool wide = config.compute.dtype == DType::float64;
  if (wide && (config.optimizer.bf16_master_weights || config.compute.reduce_in_bf16))
    fail(ExitCode::usage,
         "--dtype float64 keeps weights and gradients in float64; drop --master-weights bf16 and --reduce-dtype bf16");
  settle_batch(config, given);
  settle_order(config, given);
  if (!config.evaluation.stop_at.empty() && config.evaluation.steps == 0)
    fail(ExitCode::usage, "--stop-at needs --eval-steps N");
  if (!config.evaluation.splits.empty() && config.evaluation.steps == 0)
    fail(ExitCode::usage, "--eval-split needs --eval-steps N");
  check_splits("eval-split", config.input.domain, config.evaluation.splits);
  if (config.evaluation.steps > 0 && config.input.domain.empty() && config.evaluation.splits.empty())
    fail(ExitCode::usage, "--eval-steps needs --eval-split DOMAIN/SPLIT");
}

void resolve(RunOptions& config, int world_size) {
  const std::int64_t ranks = world_size, batch = config.batch.per_device;
  const std::int64_t steps = std::max<std::int64_t>(config.batch.accumulation, 1);
  const std::int64_t product = checked_sequences_of_step(ranks, batch, steps);
  if (config.batch.global == 0) config.batch.global = product;
  if (config.batch.accumulation > 0 && config.batch.global != product)
    fail(ExitCode::usage,
         fmt::format("--global-batch-size {} does not agree with {} ranks x --per-device-train-batch-size {} x "
                     "--gradient-accumulation-steps {} = {}; leave out --gradient-accumulation-steps",
                     config.batch.global, ranks, batch, steps, product));
  check_global_batch(config.batch.global);
  if (config.folder.path.empty()) config.folder.path = run_name(config, world_size);
  write_option_texts(config);
}

int start_training(RunOptions& config, const OptionTable& given) {
  return with_model(config, &Session::default_dtype, [&](Session& session) {
    resolve(config, session.world_size());
    check_files(session, given);
    return run_training(session, config);
  });
}

}  // namespace expunge
