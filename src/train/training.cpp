// A whole run of `expunge train` or `expunge unlearn`: from options to the last checkpoint.
#include <fmt/chrono.h>
#include <fmt/format.h>
#include <unistd.h>

#include <ctime>
#include <fstream>

#include "expunge/core/error.h"
#include "expunge/core/interrupt.h"
#include "expunge/core/log.h"
#include "expunge/io/hash.h"
#include "expunge/train/checkpoint.h"
#include "expunge/train/commands.h"
#include "expunge/train/model_source.h"
#include "expunge/train/policies.h"
#include "expunge/train/run_folder.h"
#include "expunge/train/schedule.h"
#include "expunge/train/trainer.h"
#include "train/method_setup.h"
#include "train/monitor.h"
#include "train/step_log.h"

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
  if (!sources.empty()) return sources;  // expunge train
  const std::string retain = config.retain.general ? "general/retain" : config.domain + "/retain";
  for (const Term& term : objective.terms())
    sources.push_back({term.role == Role::forget ? config.domain + "/forget" : retain, term.role});
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

/// What every checkpoint of the run says of it. Throws Error(bad_input) on a resume when an input is not what it was.
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
  info.libraries = config.libraries;
  info.host = host_name();
  info.model_sha256 = model_sha256(source, runtime, units);
  info.tokens_sha256 = on_root(runtime, [&] { return sha256_file(config.tokens); });
  const auto check_same = [&](const char* what, const fs::path& path, const std::string& was, const std::string& now) {
    if (was != now)
      fail(ExitCode::bad_input, fmt::format("{}: {} changed since the run began (SHA-256 {}, was {}); restore it to resume",
                                            path.string(), what, now, was));
  };
  if (before) {
    check_same("the token file", config.tokens, before->tokens_sha256, info.tokens_sha256);
    check_same("the original model", source.weights, before->model_sha256, info.model_sha256);
  }
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
                       config.command == "train" ? "train" : config.objective.method,
                       config.model.empty() ? config.init_config.string() : config.model.string(),
                       static_cast<double>(source.config.parameter_count()) / 1e6, dtype_name(config.compute.dtype),
                       session.world_size(), session.world_size() == 1 ? "" : "s", session.threads(),
                       session.threads() == 1 ? "" : "s", gather_name(gather), recompute_name(recompute)));
  log_info(fmt::format("{} sequences, {} optimizer step{} of {} | run folder {}", data.items(), steps, steps == 1 ? "" : "s",
                       config.global_batch_size, config.output_dir.string()));
}

/// What is allowed and hardly meant.
void warn(const TrainConfig& config, const LlamaConfig& model, const TrainingData& data, std::int64_t steps) {
  const auto longest = static_cast<std::int64_t>(data.longest());
  if (config.compute.micro_batch_tokens > 0 && longest > config.compute.micro_batch_tokens)
    log_warning(
        fmt::format("--micro-batch-tokens {} is less than the longest sequence, {} tokens, which is a micro-batch by itself",
                    config.compute.micro_batch_tokens, longest));
  if (longest > model.max_position_embeddings)
    log_warning(
        fmt::format("the longest sequence has {} tokens, and the model was made for {} positions: --max-length of "
                    "expunge tokenize cuts sequences shorter",
                    longest, model.max_position_embeddings));
  const std::int64_t warmup = warmup_length(config, steps);
  std::int64_t step = 0;
  while (step < steps && config.learning_rate * schedule_factor(config.schedule, step, warmup, steps) == 0) ++step;
  if (step == steps)
    log_warning(
        fmt::format("the learning rate is 0 in every one of the {} step{} (--learning-rate {}, {} of warm-up): nothing "
                    "will be learnt or forgotten",
                    steps, steps == 1 ? "" : "s", config.learning_rate, warmup));
}

void log_moved(const WeightsMoved& moved) {
  log_info(fmt::format("{:.1f} % of the weights moved ({:.1f} % when stored as bfloat16), the update is {:.3g} of their norm",
                       100 * moved.share, 100 * moved.share_bf16, moved.relative));
  if (moved.share == 0) log_warning("no weight moved: the model is as it was before the run");
}

/// What only the model's shape tells of a method's options.
void check_objective(const Objective& objective, const LlamaConfig& config) {
  for (const Term& term : objective.terms())
    if (term.signal.kind == Signal::Kind::distance && (term.signal.layer < 0 || term.signal.layer >= config.num_hidden_layers))
      fail(ExitCode::usage,
           fmt::format("--layer {}: the model's blocks are 0 to {}", term.signal.layer, config.num_hidden_layers - 1));
}

/// What a method is made with: the options, and what the token file says.
std::unique_ptr<Objective> objective_of(const TrainConfig& config, const TokenFile& tokens) {
  if (config.command == "train") return make_descent();
  MethodOptions options = config.objective;
  options.max_length = static_cast<double>(tokens.info().max_length);
  return make_objective(options);
}

/// The model and its optimizer while they are trained.
template <Element T>
struct Trained {
  Trained(const Session& session, const TrainConfig& config, const ModelSource& source, const std::vector<UnitLayout>& units,
          GatherPolicy gather, Recompute recompute)
      : params(session.runtime(), units,
               {gather == GatherPolicy::per_step, config.compute.prefetch, config.compute.reduce_in_bf16}, true),
        optimizer(params, config),
        state(state_of(params, optimizer)),
        model(source.config, params, recompute) {}

  ShardedParams<T> params;
  Optimizer<T> optimizer;
  StateShards<acc_t<T>> state;
  Llama<T> model;
};

template <Element T>
void save(const TrainConfig& config, const RunLength& length, Trained<T>& trained, CheckpointInfo& info) {
  info.step = trained.optimizer.steps;
  info.samples = length.samples_after(info.step);
  info.written = fmt::format("{:%Y-%m-%dT%H:%M:%SZ}", fmt::gmtime(std::time(nullptr)));
  write_checkpoint(trained.params.runtime(), RunFolder{config.output_dir}.checkpoints(), info, trained.state,
                   config.save_total_limit);
}

/// The steps that are left, each with its row of metrics, and the evaluations and checkpoints between them.
template <Element T>
ExitCode run_steps(const TrainConfig& config, const RunLength& length, Trainer<T>& trainer, Trained<T>& trained,
                   std::size_t model_bytes, Monitor* monitor, CheckpointInfo& info) {
  const Runtime& runtime = trained.params.runtime();
  const Optimizer<T>& optimizer = trained.optimizer;
  std::optional<StepLog> log;
  if (runtime.comm.rank() == 0) log.emplace(config, optimizer.steps);
  Progress progress(config.command, length.steps, optimizer.steps, config.logging_steps);
  while (optimizer.steps < info.total_steps) {
    StepMetrics metrics = trainer.step();
    // A signal to one rank ends the step, and the run, of all.
    std::array<double, 3> largest{static_cast<double>(peak_resident_bytes()), static_cast<double>(model_bytes),
                                  static_cast<double>(InterruptSignals::received())};
    all_reduce(runtime, largest, Reduce::max);
    metrics.memory_bytes = static_cast<std::int64_t>(largest[0]);
    metrics.model_state_bytes = static_cast<std::int64_t>(largest[1]);
    const int signal = static_cast<int>(largest[2]);
    if (log) log->append(metrics);
    progress.advance(fmt::format("loss {:.4f} | grad norm {:.3g} | lr {:.2e} | {:.0f} tokens/s", metrics.loss,
                                 metrics.grad_norm, metrics.learning_rate, metrics.tokens_per_second));
    const bool stop = monitor && monitor->evaluate(trained.model, optimizer.steps, optimizer.steps == length.steps);
    if (stop) {
      info.total_steps = optimizer.steps;
      log_info(fmt::format("step {}: {} holds; the run ends here", optimizer.steps, config.stop_at));
    }
    const bool last = optimizer.steps == info.total_steps;
    if (last || signal != 0 || (config.save_steps > 0 && optimizer.steps % config.save_steps == 0))
      save(config, length, trained, info);
    if (signal == 0 || last) continue;
    progress.finish();
    if (runtime.comm.rank() == 0)
      log_warning(
          fmt::format("{} came: the run ends after step {} of {}, with a checkpoint; the same command goes on from there",
                      signal_name(signal), optimizer.steps, info.total_steps));
    return ExitCode::interrupted;
  }
  progress.finish();
  return ExitCode::done;
}

template <Element T>
ExitCode train_as(Session& session, const TrainConfig& config) {
  const Runtime& runtime = session.runtime();
  const ModelSource source =
      config.init_config.empty() ? locate_model(runtime, config.model) : initial_model(config.init_config);
  const TokenFile tokens(config.tokens);
  const auto objective = objective_of(config, tokens);
  check_objective(*objective, source.config);
  check_tokenizer(runtime, source, tokens);
  TrainingData data(tokens, data_sources(config, *objective), config, source.config.vocab_size);
  const std::vector<UnitLayout> units = llama_units(source.config, session.world_size());
  // What can be refused is refused before the run folder is made.
  (void)frozen_parameters(config.trainable, units);
  if (!config.labels.given.empty()) give_labels(config.labels.given, source, data);
  if (!config.stop_at.empty()) (void)parse_stop_condition(config.stop_at);

  const RunFolder run{config.output_dir};
  check_saved_labels(config, run);
  const std::optional<fs::path> checkpoint = prepare_run_folder(runtime, config, source.side_files);
  std::optional<CheckpointReader> reader;
  std::optional<CheckpointInfo> before;
  if (checkpoint) before = reader.emplace(*checkpoint).info();
  const RunLength length(config, data.items());
  if (before && before->step >= std::min(length.steps, before->total_steps)) {
    log_info(fmt::format("{}: finished already, all {} steps are done", config.output_dir.string(), before->step));
    return ExitCode::done;
  }
  CheckpointInfo info = describe_run(session, config, source, units, before);
  info.total_steps = length.steps;

  const int tokens_at_once = largest_micro_batch(config, data);
  const GatherPolicy gather = decide_gather(session, config, units, before, sizeof(T), sizeof(acc_t<T>));
  const Recompute recompute = choose_recompute(config.compute.recompute, source.config,
                                               static_cast<std::size_t>(tokens_at_once), sizeof(T), session.available_memory());
  info.gather = gather_name(gather);
  Trained<T> trained(session, config, source, units, gather, recompute);
  if (before) {
    read_state(*reader, session.rank(), trained.state);
    trained.optimizer.steps = before->step;
    log_info(fmt::format("resuming after step {} from {}", before->step, checkpoint->string()));
  } else {
    load_weights(source, config.seed, config.bf16_master_weights, trained.params);
  }
  log_start(session, config, source, data, length.steps, gather, recompute);
  if (session.rank() == 0) warn(config, source.config, data, length.steps);
  trained.model.reserve(tokens_at_once, true);

  Task<T> task{*objective, data};
  std::optional<ReferenceModel<T>> reference;
  if (uses_reference(*objective)) {
    task.reference = &reference.emplace(runtime, source, config).model;
    task.reference->reserve(tokens_at_once, false);
  }
  prepare_labels(config, source, run, trained.model, data, !before);
  if (objective->uses_reference_nll()) task.reference_nll = prepare_reference_nll(config, run, trained.model, data, !before);
  std::optional<Monitor> monitor;
  if (config.eval_steps > 0) {
    monitor.emplace(runtime, config, tokens, source.config.vocab_size, trained.optimizer.steps);
    monitor->evaluate(trained.model, trained.optimizer.steps, false);
  }
  const std::size_t model_bytes =
      model_state_bytes(units, sizeof(acc_t<T>)) + (reference ? frozen_state_bytes(units, sizeof(T)) : 0);
  Trainer<T> trainer(config, trained.model, trained.optimizer, std::move(task));
  if (const ExitCode code = run_steps(config, length, trainer, trained, model_bytes, monitor ? &*monitor : nullptr, info);
      code != ExitCode::done)
    return code;
  log_moved(weights_moved(source, config.seed, config.bf16_master_weights, trained.params));
  log_info(fmt::format("done: {}", config.output_dir.string()));
  return ExitCode::done;
}

}  // namespace

ExitCode run_training(Session& session, const TrainConfig& config) {
  const InterruptSignals signals;
  switch (config.compute.dtype) {
    case DType::float32:
      return train_as<float>(session, config);
    case DType::bfloat16:
      return train_as<bf16>(session, config);
    case DType::float64:
      return train_as<double>(session, config);
    case DType::float16:
      break;
  }
  fail(ExitCode::usage, "--dtype: float16 is not trained in; use float32, bfloat16 or float64");
}

}  // namespace expunge
