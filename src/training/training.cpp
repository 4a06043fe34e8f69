// A whole run of `expunge train` or `expunge unlearn`: from options to the last checkpoint.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <thread>

#include "core/interrupt.h"
#include "core/log.h"
#include "core/text.h"
#include "expunge/error.h"
#include "inference/token_checks.h"
#include "io/files.h"
#include "io/hash.h"
#include "plan/memory.h"
#include "run/run_folder.h"
#include "store/checkpoint.h"
#include "store/weights.h"
#include "training/beginning.h"
#include "training/deadline.h"
#include "training/loop.h"
#include "training/reference.h"
#include "training/schedule.h"
#include "training/training.h"

namespace expunge {
namespace {

namespace fs = std::filesystem;

std::vector<TrainingData::Source> data_sources(const TrainConfig& config, const Objective& objective) {
  std::vector<TrainingData::Source> sources;
  for (const std::string& split : config.splits) sources.push_back({split, Role::retain});
  if (!sources.empty()) return sources;  // expunge train
  const std::string retain = config.retain.general ? "general/retain" : config.domain + "/retain";
  for (const Term& term : objective.terms())
    sources.push_back({term.role == Role::forget ? config.domain + "/forget" : retain, term.role});
  return sources;
}

/// What the run takes of this rank's memory, and by which policies; the same on all ranks.
Policies decide_policies(const Session& session, const TrainConfig& config, const RunShape& shape,
                         const std::optional<CheckpointInfo>& before) {
  GatherPolicy gather = config.compute.gather;
  // A resumed run adds gradients up in the order it began with, or it would not be bitwise equal.
  if (before && gather == GatherPolicy::automatic)
    gather = before->gather == gather_name(GatherPolicy::per_step) ? GatherPolicy::per_step : GatherPolicy::per_micro_step;
  const auto memory =
      static_cast<std::size_t>(all_reduce(session.runtime(), static_cast<double>(session.available_memory()), Reduce::min));
  const Policies policies = choose_policies(shape, gather, config.compute.recompute, memory);
  if (!policies.fits && shape.device == DeviceType::cuda) fail(ExitCode::usage, describe_misfit(shape, policies, memory));
  // The host may swap, or drop what other programs hold.
  if (!policies.fits && session.rank() == 0) log_warning(describe_misfit(shape, policies, memory));
  return policies;
}

void log_start(const Session& session, const TrainConfig& config, const WeightsSource& source, const TrainingData& data,
               std::int64_t steps, const Policies& policies) {
  log_info(fmt::format(
      "{} {} | {:.2f} M parameters, {} | {} rank{} x {} | gather {}, recompute {}, about "
      "{} a rank",
      config.command == "train" ? "train" : config.objective.method,
      config.model.empty() ? config.init_config.string() : config.model.string(),
      static_cast<double>(source.config.parameter_count()) / 1e6, dtype_name(config.compute.dtype), session.world_size(),
      session.world_size() == 1 ? "" : "s", session.device_text(), gather_name(policies.gather),
      recompute_name(policies.recompute), format_bytes(static_cast<double>(policies.memory.total()))));
  log_info(fmt::format("{} sequences, {} optimizer step{} of {} | run folder {}", data.items(), steps, steps == 1 ? "" : "s",
                       config.global_batch_size, config.output_dir.string()));
}

/// What is allowed and hardly meant.
void warn(const TrainConfig& config, const LlamaConfig& model, const TrainingData& data, const RunLength& length) {
  const std::int64_t steps = length.steps;
  if (const auto given = static_cast<std::int64_t>(data.order_length());
      !config.sample_order.empty() && given < length.places())
    log_warning(fmt::format("--sample-order {}: it has {} sequence number{} and the run takes {}: it begins again from the top",
                            config.sample_order.string(), given, given == 1 ? "" : "s", length.places()));
  const auto longest = static_cast<std::int64_t>(data.longest());
  if (config.compute.micro_batch_tokens > 0 && longest > config.compute.micro_batch_tokens)
    log_warning(
        fmt::format("--micro-batch-tokens {} is less than the longest sequence, {} tokens, which is a micro-batch by itself",
                    config.compute.micro_batch_tokens, longest));
  if (longest > model.longest_sequence())
    log_warning(
        fmt::format("the longest sequence has {} tokens, and the model was made for {} positions: --max-length of "
                    "expunge tokenize cuts sequences shorter",
                    longest, model.longest_sequence()));
  const std::int64_t warmup = warmup_length(config, steps);
  if (config.learning_rate * largest_schedule_factor(config.schedule, warmup, steps) == 0)
    log_warning(
        fmt::format("the learning rate is 0 in every one of the {} step{} (--learning-rate {}, {} of warm-up): nothing "
                    "will be learnt or forgotten",
                    steps, steps == 1 ? "" : "s", config.learning_rate, warmup));
}

/// A run that forgets what it also keeps, or is measured by, moves nothing and shows nothing.
void warn_of_shared_text(const TrainConfig& config, const TokenFile& tokens) {
  const std::optional<Duplicates> duplicates = tokens.duplicates();
  if (config.domain.empty() || !duplicates) return;
  const std::string forget = config.domain + "/forget";
  const auto between = [&](const SharedText& pair) {
    return pair.split != pair.other && (pair.split == forget || pair.other == forget);
  };
  for (const std::string& line : describe_duplicates(*duplicates, between)) log_warning(line);
}

void log_moved(const Runtime& runtime, const WeightsMoved& moved) {
  if (runtime.comm.rank() != 0) return;
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

/// Labels name the model that drew them, which need not be this run's: a teacher's are meant so, others are a mistake.
void warn_of_other_labels(const TrainConfig& config, const std::string& model_sha256) {
  if (config.labels.given.empty()) return;
  const Hdf5File file = Hdf5File::open(config.labels.given);
  if (!file.has_attribute("/", "model_sha256")) return;
  if (const auto drew = file.read_attribute<std::string>("/", "model_sha256"); drew != model_sha256)
    log_warning(fmt::format("--labels {}: made for another original model (SHA-256 {}) than the run's ({})",
                            config.labels.given.string(), drew, model_sha256));
}

/// What a method is made with: the options, and what the token file says.
std::unique_ptr<Objective> objective_of(const TrainConfig& config, const TokenFile& tokens) {
  if (config.command == "train") return make_descent();
  MethodOptions options = config.objective;
  options.max_length = static_cast<double>(tokens.info().max_length);
  return make_objective(options);
}

/// What a run writes outside its folder.
void check_other_outputs(const TrainConfig& config, const RunFolder& run) {
  check_saved_labels(config, run);
  const fs::path &log = config.log_jsonl, folder = log.parent_path();
  if (log.empty()) return;
  if (fs::exists(fs::symlink_status(log)))
    (void)AppendFile(log);
  else if (folder.empty() || fs::exists(folder))
    check_writable(log);
  else
    check_folder_writable(folder);
}

/// There is no checkpoint: without what the original model was asked for, none could be gone on from.
ExitCode end_before_the_first_step(const Runtime& runtime, double urgency) {
  if (runtime.comm.rank() == 0)
    log_warning(
        fmt::format("{}: the run ends before its first step, in a pass of the original model over the forget set, of which "
                    "nothing is kept; the same command begins it again, and needs the time for it",
                    EndInTime::reason(urgency)));
  InterruptSignals::received_elsewhere();
  return ExitCode::interrupted;
}

/// Nothing of this start is needed to go on. Every rank may have had the signal: the first that is there speaks for all.
void end_the_start(const Session& session, const std::string& signal) {
  std::this_thread::sleep_for(std::chrono::milliseconds(50 * std::min(session.rank(), 20)));
  log_warning(fmt::format(
      "{} came: the run ends before its first step, while it reads its inputs; the same command starts it again", signal));
  std::fflush(stderr);
  if (session.world_size() == 1) std::_Exit(static_cast<int>(ExitCode::interrupted));
  Session::abort(ExitCode::interrupted);
}

template <Element T>
ExitCode train_as(Session& session, const TrainConfig& config, InterruptSignals& signals) {
  const Runtime& runtime = session.runtime();
  const WeightsSource source =
      config.init_config.empty() ? locate_model(runtime, config.model) : initial_model(config.init_config);
  const TokenFile tokens(config.tokens);
  const auto objective = objective_of(config, tokens);
  check_objective(*objective, source.config);
  check_tokenizer(runtime, source, tokens);
  TrainingData data(tokens, data_sources(config, *objective), config, source.config.vocab_size);
  const std::vector<UnitLayout> units = llama_units(source.config, session.world_size());
  const std::string tokens_sha256 = on_root(runtime, [&] { return sha256_file(config.tokens); });
  // What can be refused is refused before the run folder is made.
  const RunLength length(config, data.items());
  const int largest_batch = largest_micro_batch(config, data);
  (void)frozen_parameters(config.trainable, units);
  const std::string given_labels =
      config.labels.given.empty() ? std::string() : give_labels(runtime, config.labels.given, tokens_sha256, source, data);
  std::optional<Monitored> monitored;
  if (config.eval_steps > 0) monitored.emplace(config, tokens, source.config.vocab_size);
  for (std::size_t s = 0; s < data.sources(); ++s) check_window(source.config, data.source(s).split, data.split(s), 0);
  for (std::size_t s = 0; monitored && s < monitored->splits.size(); ++s)
    check_window(source.config, monitored->names[s], monitored->splits[s], static_cast<std::size_t>(config.max_eval_samples));

  const RunFolder run{config.output_dir};
  on_root(runtime, [&] { check_other_outputs(config, run); });
  const std::unique_ptr<FileLock> lock = hold_run_folder(runtime, config, length.steps);
  Beginning beginning{prepare_run_folder(runtime, config, source), {}};
  const std::optional<CheckpointInfo>& before = beginning.before;
  std::optional<CheckpointReader> reader;
  if (beginning.checkpoint) {
    beginning.before = reader.emplace(*beginning.checkpoint).info();
    beginning.own = is_of_run(run, *beginning.checkpoint);
  }
  const fs::path resumed = beginning.checkpoint.value_or(fs::path());
  IoThread io;
  std::optional<Monitor> monitor;
  if (monitored)
    monitor.emplace(runtime, config, std::move(*monitored), beginning.own ? before->step : 0, adopted_step(beginning),
                    beginning.own ? resumed : fs::path(), io);
  const bool evaluated = !monitor || !before || monitor->recorded() >= before->step;
  if (beginning.own && evaluated && before->step >= std::min(length.steps, before->total_steps)) {
    log_info(fmt::format("{}: finished already, all {} steps are done", config.output_dir.string(), before->step));
    return ExitCode::done;
  }
  CheckpointInfo info = describe_run(session, config, source, units, tokens_sha256, beginning);
  if (session.rank() == 0) {
    warn_of_other_labels(config, info.model_sha256);
    warn_of_what_was_learnt(config, info);
  }
  info.total_steps = beginning.own ? std::min(length.steps, before->total_steps) : length.steps;

  const int tokens_at_once = std::max(largest_batch, monitor ? monitor->longest() : 0);
  const bool copies = config.save_steps > 0 || !config.stop_at.empty();
  const RunShape shape{source.config,
                       session.world_size(),
                       tokens_at_once,
                       config.compute.dtype,
                       uses_reference(*objective),
                       config.compute.reduce_in_bf16,
                       copies,
                       runtime.device.type};
  const Policies policies =
      decide_policies(session, config, shape, beginning.own ? beginning.before : std::optional<CheckpointInfo>());
  info.gather = gather_name(policies.gather);
  info.recompute = recompute_name(policies.recompute);
  TrainedModel<T> trained(runtime, config, source, units, policies.gather, policies.recompute);
  const auto go_on = [&] {
    read_state(*reader, session.rank(), trained.state, runtime.compute);
    trained.optimizer.steps = before->step;
    trained.params.weights_changed();
    reader.reset();  // the folder may be removed while the run goes on
    log_info(fmt::format("{} after step {} from {}", beginning.own ? "resuming" : "going on", before->step, resumed.string()));
    if (beginning.own) warn_of_other_sums(session, *before);
  };
  if (beginning.own)
    go_on();
  else
    load_weights(source, config.seed, config.bf16_master_weights, trained.params);
  log_start(session, config, source, data, length.steps, policies);
  if (session.rank() == 0) {
    warn(config, source.config, data, length);
    warn_of_shared_text(config, tokens);
  }
  trained.model.reserve(tokens_at_once, true);

  Task<T> task{*objective, data};
  std::optional<ReferenceModel<T>> reference;
  if (uses_reference(*objective)) {
    task.reference = &reference.emplace(runtime, source, config, policies.gather).model;
    task.reference->reserve(tokens_at_once, false);
  }
  const Provenance provenance{info.model_sha256, info.tokens_sha256, info.config, info.libraries, info.restarts};
  // Hashed before anything reads it: on damaged metadata the HDF5 library may crash.
  const auto labels_hash = [&] { return config.labels.given.empty() ? hash_if_there(runtime, run.labels()) : given_labels; };
  if (beginning.own) {
    if (const std::string now = labels_hash(); !now.empty() || !before->labels_sha256.empty())
      refuse_changed("the file of labels", labels_file(config, run), before->labels_sha256, now);
    if (const std::string& was = before->reference_sha256; !was.empty())
      refuse_changed("what the run keeps of the original model", run.reference(), was, hash_if_there(runtime, run.reference()));
  }
  signals.heed();
  double urgency = 0;
  const FirstStart first{!beginning.own, provenance, [&, end = EndInTime(config, 0)] {
                           urgency = all_reduce(runtime, end.within_step(0), Reduce::max);
                           return EndInTime::at_once(urgency);
                         }};
  if (!prepare_labels(config, source, run, trained.model, data, first) ||
      (objective->uses_reference_nll() && !prepare_reference_nll(config, run, trained.model, data, first, task.reference_nll)))
    return end_before_the_first_step(runtime, urgency);
  info.labels_sha256 = labels_hash();
  if (objective->uses_reference_nll()) info.reference_sha256 = hash_if_there(runtime, run.reference());
  if (before && !beginning.own) go_on();  // what asks the original model is done
  if (monitor) monitor->begin(provenance);
  TrainingLoop<T> loop(config, length, trained, std::move(task), monitor ? &*monitor : nullptr, info, resumed,
                       policies.memory.state(), io);
  if (const ExitCode code = loop.run(); code != ExitCode::done) return code;
  log_moved(runtime, weights_moved(source, config.seed, config.bf16_master_weights, trained.params));
  if (monitor && !monitor->unmet().empty())
    log_warning(fmt::format("--stop-at \"{}\" was not reached in {} steps: {}", config.stop_at, trained.optimizer.steps,
                            monitor->unmet()));
  log_info(fmt::format("done: {}", config.output_dir.string()));
  return ExitCode::done;
}

}  // namespace

ExitCode run_training(Session& session, const TrainConfig& config) {
  InterruptSignals signals({config.grace_seconds, [&](const std::string& signal) { end_the_start(session, signal); }});
  switch (config.compute.dtype) {
    case DType::float32:
      return train_as<float>(session, config, signals);
    case DType::bfloat16:
      return train_as<bf16>(session, config, signals);
    case DType::float64:
      return train_as<double>(session, config, signals);
    case DType::float16:
      break;
  }
  fail(ExitCode::usage, "--dtype: float16 is not trained in; use float32, bfloat16 or float64");
}

}  // namespace expunge
