// A whole run of `expunge train` or `expunge unlearn`: from options to the last checkpoint.
#include <fmt/chrono.h>
#include <fmt/format.h>
#include <unistd.h>

#include <ctime>
#include <fstream>

#include "expunge/core/error.h"
#include "expunge/core/log.h"
#include "expunge/io/hash.h"
#include "expunge/train/checkpoint.h"
#include "expunge/train/commands.h"
#include "expunge/train/model_source.h"
#include "expunge/train/policies.h"
#include "expunge/train/run_folder.h"
#include "expunge/train/trainer.h"

namespace expunge {
namespace {

namespace fs = std::filesystem;

/// Highest resident memory of this process so far.
std::int64_t peak_resident_bytes() {
  std::ifstream status("/proc/self/status");
  std::string line;
  while (std::getline(status, line))
    if (line.starts_with("VmHWM:")) return std::stoll(line.substr(6)) * 1024;
  return 0;
}

std::string host_name() {
  char name[256] = {};
  gethostname(name, sizeof(name) - 1);
  return name;
}

std::vector<TrainingData::Source> data_sources(const TrainConfig& config, const Objective& objective) {
  std::vector<TrainingData::Source> sources;
  for (const std::string& split : config.splits) sources.push_back({split, Role::retain});
  for (const Term& term : objective.terms())
    if (term.role == Role::forget) sources.push_back({config.domain + "/forget", Role::forget});
  return sources;
}

template <Element T>
StateShards<acc_t<T>> state_of(ShardedParams<T>& params, Optimizer<T>& optimizer) {
  StateShards<acc_t<T>> state;
  for (int unit = 0; unit < params.units(); ++unit) {
    state.units.push_back(params.layout(unit));
    state.parameters.push_back(params.master(unit));
    state.exp_avg.push_back(optimizer.exp_avg(unit));
    state.exp_avg_sq.push_back(optimizer.exp_avg_sq(unit));
  }
  return state;
}

/// What every checkpoint of the run says of it; on a resume, hashes are those of the first start.
CheckpointInfo describe_run(const Session& session, const TrainConfig& config, const ModelSource& source,
                            const std::vector<UnitLayout>& units, const std::optional<CheckpointInfo>& before) {
  const Runtime& runtime = session.runtime();
  CheckpointInfo info;
  info.global_batch = config.global_batch_size;
  info.world_size = session.world_size();
  info.seed = config.seed;
  info.dtype = dtype_name(config.compute.dtype);
  info.config = config.resolved;
  info.version = EXPUNGE_VERSION;
  info.host = host_name();
  info.model_sha256 = before ? before->model_sha256 : model_sha256(source, runtime, units);
  info.tokens_sha256 = on_root(runtime, [&] { return sha256_file(config.tokens); });
  if (before && before->tokens_sha256 != info.tokens_sha256)
    fail(ExitCode::bad_input, fmt::format("{}: the token file changed since the checkpoint was written (SHA-256 {}, was {}); "
                                          "restore it to resume",
                                          config.tokens.string(), info.tokens_sha256, before->tokens_sha256));
  return info;
}

GatherPolicy decide_gather(const Session& session, const TrainConfig& config, const std::vector<UnitLayout>& units,
                           const std::optional<CheckpointInfo>& before, std::size_t element_bytes, std::size_t sum_bytes) {
  if (config.compute.gather != GatherPolicy::automatic) return config.compute.gather;
  // A resumed run adds gradients up in the order it began with, or it would not be bitwise equal.
  if (before)
    return before->gather == gather_name(GatherPolicy::per_step) ? GatherPolicy::per_step : GatherPolicy::per_micro_step;
  const GatherPolicy mine = choose_gather(units, element_bytes, sum_bytes, session.available_memory());
  const bool all = all_reduce(session.runtime(), mine == GatherPolicy::per_step ? 1 : 0, Reduce::min) > 0;
  return all ? GatherPolicy::per_step : GatherPolicy::per_micro_step;
}

void log_start(const Session& session, const TrainConfig& config, const ModelSource& source, const TrainingData& data,
               std::int64_t steps, GatherPolicy gather, Recompute recompute) {
  log_info(fmt::format("{} {} | {:.2f} M parameters, {} | {} rank{} x {} thread{} | gather {}, recompute {}",
                       config.command == "train" ? "train" : config.method,
                       config.model.empty() ? config.init_config.string() : config.model.string(),
                       static_cast<double>(source.config.parameter_count()) / 1e6, dtype_name(config.compute.dtype),
                       session.world_size(), session.world_size() == 1 ? "" : "s", session.threads(),
                       session.threads() == 1 ? "" : "s", gather_name(gather), recompute_name(recompute)));
  log_info(fmt::format("{} sequences, {} optimizer steps of {}", data.items(), steps, config.global_batch_size));
}

/// The steps that are left, each with its row of metrics, and the checkpoints between them.
template <Element T>
void run_steps(const TrainConfig& config, const Runtime& runtime, const RunLength& length, Trainer<T>& trainer,
               Optimizer<T>& optimizer, CheckpointInfo& info, const StateShards<acc_t<T>>& state) {
  const RunFolder run{config.output_dir};
  std::optional<MetricsFile> metrics_file;
  if (runtime.comm.rank() == 0) metrics_file.emplace(run.metrics(), optimizer.steps);
  Progress progress(config.command, length.steps, optimizer.steps, config.logging_steps);
  while (optimizer.steps < length.steps) {
    StepMetrics metrics = trainer.step();
    std::array<double, 2> bytes{static_cast<double>(peak_resident_bytes()),
                                static_cast<double>(model_state_bytes(state.units, sizeof(acc_t<T>)))};
    all_reduce(runtime, bytes, Reduce::max);
    metrics.memory_bytes = static_cast<std::int64_t>(bytes[0]);
    metrics.model_state_bytes = static_cast<std::int64_t>(bytes[1]);
    if (metrics_file) metrics_file->append(metrics);
    progress.advance(fmt::format("loss {:.4f} | grad norm {:.3g} | lr {:.2e} | {:.0f} tokens/s", metrics.loss, metrics.grad_norm,
                                 metrics.learning_rate, metrics.tokens_per_second));
    const bool last = optimizer.steps == length.steps;
    if (!last && (config.save_steps == 0 || optimizer.steps % config.save_steps != 0)) continue;
    info.step = optimizer.steps;
    info.samples = length.samples_after(optimizer.steps);
    info.written = fmt::format("{:%Y-%m-%dT%H:%M:%SZ}", fmt::gmtime(std::time(nullptr)));
    write_checkpoint(runtime, run.checkpoints(), info, state, config.save_total_limit);
  }
  progress.finish();
}

template <Element T>
void train_as(Session& session, const TrainConfig& config) {
  using A = acc_t<T>;
  const Runtime& runtime = session.runtime();
  const auto objective = config.command == "train" ? make_descent() : make_objective(config.method);
  const ModelSource source =
      config.init_config.empty() ? locate_model(runtime, config.model) : initial_model(config.init_config);
  const TokenFile tokens(config.tokens);
  check_tokenizer(runtime, source, tokens);
  TrainingData data(tokens, data_sources(config, *objective), config, source.config.vocab_size);
  const std::vector<UnitLayout> units = llama_units(source.config, session.world_size());

  const std::optional<fs::path> checkpoint = prepare_run_folder(runtime, config, source.side_files);
  std::optional<CheckpointReader> reader;
  std::optional<CheckpointInfo> before;
  if (checkpoint) before = reader.emplace(*checkpoint).info();
  const RunLength length(config, data.items());
  if (before && before->step >= length.steps) {
    log_info(fmt::format("{}: finished already, all {} steps are done", config.output_dir.string(), length.steps));
    return;
  }
  CheckpointInfo info = describe_run(session, config, source, units, before);
  info.total_steps = length.steps;

  const int tokens_at_once = largest_micro_batch(config, data);
  const GatherPolicy gather = decide_gather(session, config, units, before, sizeof(T), sizeof(A));
  const Recompute recompute =
      choose_recompute(config.compute.recompute, source.config, static_cast<std::size_t>(tokens_at_once), sizeof(T),
                       session.available_memory());
  info.gather = gather_name(gather);
  ShardedParams<T> params(
      runtime, units, {gather == GatherPolicy::per_step, config.compute.prefetch, config.compute.reduce_in_bf16}, true);
  Optimizer<T> optimizer(params, config);
  const StateShards<A> state = state_of(params, optimizer);
  Llama<T> model(source.config, params, recompute);
  Trainer<T> trainer(config, model, optimizer, *objective, data);

  if (before) {
    read_state(*reader, session.rank(), state);
    optimizer.steps = before->step;
    log_info(fmt::format("resuming after step {} from {}", before->step, checkpoint->string()));
  } else {
    load_weights(source, config.seed, config.bf16_master_weights, params);
  }
  log_start(session, config, source, data, length.steps, gather, recompute);
  model.reserve(tokens_at_once, true);
  run_steps(config, runtime, length, trainer, optimizer, info, state);
  log_info(fmt::format("done: {}", config.output_dir.string()));
}

}  // namespace

void run_training(Session& session, const TrainConfig& config) {
  switch (config.compute.dtype) {
    case DType::float32: return train_as<float>(session, config);
    case DType::bfloat16: return train_as<bf16>(session, config);
    case DType::float64: return train_as<double>(session, config);
    case DType::float16: break;
  }
  fail(ExitCode::usage, "--dtype: float16 is not trained in; use float32, bfloat16 or float64");
}

}  // namespace expunge
