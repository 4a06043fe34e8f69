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
#include "plan/memory.h"
#include "store/weights.h"
#include "training/deadline.h"
#include "training/inputs.h"
#include "training/loop.h"
#include "training/opened_run.h"
#include "training/reference.h"
#include "training/schedule.h"
#include "training/training.h"

namespace expunge {
namespace {

/// Decides the memory policies of the run, equal on all ranks. Throws Error(usage) if the run does not fit on a GPU.
Policies decide_policies(const Session& session, const RunOptions& config, const Inputs& inputs, const Beginning& beginning) {
  const RunShape shape{inputs.source.config,
                       session.world_size(),
                       inputs.tokens_at_once,
                       config.compute.dtype,
                       uses_reference(*inputs.objective),
                       config.compute.reduce_in_bf16,
                       config.save.steps > 0 || !config.evaluation.stop_at.empty(),
                       session.runtime().device.type};
  GatherPolicy gather = config.compute.gather;
  // A resumed run must add gradients in the same order, or its result would not be bitwise equal.
  if (beginning.own && gather == GatherPolicy::automatic) gather = recorded_gather(beginning.before->gather);
  const auto memory =
      static_cast<std::size_t>(all_reduce(session.runtime(), static_cast<double>(session.available_memory()), Reduce::min));
  const Policies policies = choose_policies(shape, gather, config.compute.recompute, memory);
  if (!policies.fits && shape.device == DeviceType::cuda) fail(ExitCode::usage, describe_misfit(shape, policies, memory));
  // This is no error on the CPU: the host may swap, or free memory of other programs.
  if (!policies.fits && session.rank() == 0) log_warning(describe_misfit(shape, policies, memory));
  return policies;
}

void log_start(const Session& session, const RunOptions& config, const WeightsSource& source, const TrainingData& data,
               std::int64_t steps, const Policies& policies) {
  log_info(
      fmt::format("{} {} | {:.2f} M parameters, {} | {} x {} | gather {}, recompute {}, about "
                  "{} a rank",
                  config.command == "train" ? "train" : config.method.name,
                  config.input.model.empty() ? config.input.init_config.string() : config.input.model.string(),
                  static_cast<double>(source.config.parameter_count()) / 1e6, dtype_name(config.compute.dtype),
                  counted(session.world_size(), "rank"), session.device_text(), gather_name(policies.gather),
                  recompute_name(policies.recompute), format_bytes(static_cast<double>(policies.memory.total()))));
  log_info(fmt::format("{} sequences, {} of {} | run folder {}", data.items(), counted(steps, "optimizer step"),
                       config.batch.global, config.folder.path.string()));
}

/// Warns of options that are allowed but probably not intended.
void warn(const RunOptions& config, const LlamaConfig& model, const TrainingData& data, const RunLength& length) {
  const std::int64_t steps = length.steps;
  if (const auto given = static_cast<std::int64_t>(data.order_length());
      !config.samples.order.empty() && given < length.places())
    log_warning(
        fmt::format("--sample-order {}: the run takes {} sequences, but the file has {}: the order repeats from its top",
                    config.samples.order.string(), length.places(), counted(given, "sequence number")));
  const auto longest = static_cast<std::int64_t>(data.longest());
  if (config.batch.micro_batch_tokens > 0 && longest > config.batch.micro_batch_tokens)
    log_warning(fmt::format(
        "--micro-batch-tokens {} is less than the longest sequence, {} tokens, so that sequence makes a micro-batch "
        "alone",
        config.batch.micro_batch_tokens, longest));
  if (longest > model.longest_sequence())
    log_warning(
        fmt::format("the longest sequence has {} tokens, but the model was made for {} positions: cut sequences with "
                    "--max-length of expunge tokenize",
                    longest, model.longest_sequence()));
  const std::int64_t warmup = warmup_length(config.schedule, steps);
  if (config.schedule.learning_rate * largest_schedule_factor(config.schedule.type, warmup, steps) == 0)
    log_warning(
        fmt::format("the learning rate is 0 in each of the {} (--learning-rate {}, {} of warm-up): the weights will not change",
                    counted(steps, "step"), config.schedule.learning_rate, warmup));
}

/// Warns if text of the forget set is also in a set that is kept or evaluated, because the results then show little.
void warn_of_shared_text(const RunOptions& config, const TokenFile& tokens) {
  const std::optional<Duplicates> duplicates = tokens.duplicates();
  if (config.input.domain.empty() || !duplicates) return;
  const std::string forget = config.input.domain + "/forget";
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

/// Ends the run in the reference pass. No checkpoint is written, because a resume would need the results of that pass.
ExitCode end_before_the_first_step(const Runtime& runtime, EndRequest request) {
  if (runtime.comm.rank() == 0)
    log_warning(fmt::format(
        "{}: the run ends before its first step, during the pass of the original model over the forget set; nothing "
        "was saved: run the same command again, and allow more time",
        request.text()));
  InterruptSignals::received_elsewhere();
  return ExitCode::interrupted;
}

/// Ends the process while it reads its inputs. Every rank may have the signal: the first rank reports it for all.
void end_the_start(const Session& session, const std::string& signal) {
  std::this_thread::sleep_for(std::chrono::milliseconds(50 * std::min(session.rank(), 20)));
  log_warning(fmt::format("{} came: the run ends before its first step, while it reads its inputs; run the same command again",
                          signal));
  std::fflush(stderr);
  if (session.world_size() == 1) std::_Exit(static_cast<int>(ExitCode::interrupted));
  Session::abort(ExitCode::interrupted);
}

/// The models of a run, loaded with the weights that it begins from.
template <Element T>
struct Models {
  Models(const Session& session, const RunOptions& options, const Inputs& inputs, OpenedRun& run);
  /// Reads the state of the checkpoint that the run continues from.
  void go_on(const Session& session, OpenedRun& run);

  Policies policies;
  ShardingOptions sharding;
  TrainedModel<T> trained;
  std::optional<ReferenceModel<T>> reference;
};

template <Element T>
Models<T>::Models(const Session& session, const RunOptions& options, const Inputs& inputs, OpenedRun& run)
    : policies(decide_policies(session, options, inputs, run.beginning)),
      sharding{policies.gather == GatherPolicy::per_step, options.compute.prefetch, options.compute.reduce_in_bf16},
      trained(session.runtime(), inputs.source.config, inputs.units, sharding, policies.recompute, options.optimizer) {
  run.info.gather = gather_name(policies.gather);
  run.info.recompute = recompute_name(policies.recompute);
  if (run.beginning.own)
    go_on(session, run);
  else
    load_weights(inputs.source, options.samples.seed, options.optimizer.bf16_master_weights, trained.params);
  log_start(session, options, inputs.source, inputs.data, inputs.length.steps, policies);
  if (session.rank() == 0) {
    warn(options, inputs.source.config, inputs.data, inputs.length);
    warn_of_shared_text(options, inputs.tokens);
  }
  trained.model.reserve(inputs.tokens_at_once, true);
  if (!uses_reference(*inputs.objective)) return;
  reference.emplace(session.runtime(), inputs.source, sharding, options.samples.seed, options.optimizer.bf16_master_weights);
  reference->model.reserve(inputs.tokens_at_once, false);
}

template <Element T>
void Models<T>::go_on(const Session& session, OpenedRun& run) {
  const CheckpointInfo& before = *run.beginning.before;
  read_state(*run.checkpoint, session.rank(), trained.state, session.runtime().compute);
  trained.optimizer.steps = before.step;
  trained.params.weights_changed();
  run.checkpoint.reset();  // closes its files, because the folder may be removed during the run
  log_info(fmt::format("{} after step {} from {}", run.beginning.own ? "resuming" : "continuing", before.step,
                       run.resumed().string()));
  if (run.beginning.own) warn_of_other_sums(session, before);
}

/// Refuses labels and nll of the original model unless they are those of the run's first start. Hashes files before reading
/// them, because the HDF5 library may crash on damaged metadata.
void check_kept(const Runtime& runtime, const RunOptions& options, const OpenedRun& run, const std::string& labels_sha256) {
  const CheckpointInfo& before = *run.beginning.before;
  if (!labels_sha256.empty() || !before.labels_sha256.empty())
    refuse_changed("the file of labels", labels_file(options.labels, run.folder), before.labels_sha256, labels_sha256);
  if (const std::string& was = before.reference_sha256; !was.empty())
    refuse_changed("the run's stored results of the original model", run.folder.reference(), was,
                   hash_if_there(runtime, run.folder.reference()));
}

/// Prepares the method's inputs from the original model: labels, or each forget sequence's nll in `reference_nll`. Returns the
/// request that cut this short; an empty one if all is prepared.
template <Element T>
EndRequest prepare_method(const Session& session, const RunOptions& options, Inputs& inputs, OpenedRun& run, Models<T>& models,
                          std::vector<double>& reference_nll) {
  const Runtime& runtime = session.runtime();
  const auto labels_sha256 = [&] {
    return options.labels.given.empty() ? hash_if_there(runtime, run.folder.labels()) : inputs.labels_sha256;
  };
  if (run.beginning.own) check_kept(runtime, options, run, labels_sha256());
  EndRequest request;
  const FirstStart first{!run.beginning.own, run.provenance(), [&, end = Deadline(options.deadline, 0)] {
                           request = EndRequest::of(all_reduce(runtime, end.within_step(0).number(), Reduce::max));
                           return request.at_once;
                         }};
  const bool uses_nll = inputs.objective->uses_reference_nll();
  Llama<T>& model = models.trained.model;
  if (!prepare_labels(options, inputs.source, run.folder, model, inputs.data, first) ||
      (uses_nll && !prepare_reference_nll(options.batch, run.folder, model, inputs.data, first, reference_nll)))
    return request;
  run.info.labels_sha256 = labels_sha256();
  if (uses_nll) run.info.reference_sha256 = hash_if_there(runtime, run.folder.reference());
  // Load another run's state only now, because the passes above need the original model.
  if (run.beginning.before && !run.beginning.own) models.go_on(session, run);
  if (run.in_run) run.in_run->begin(run.provenance());
  return {};
}

/// Takes all steps and logs the result.
template <Element T>
ExitCode take_all_steps(const RunOptions& options, Inputs& inputs, OpenedRun& run, Models<T>& models,
                        std::vector<double> reference_nll) {
  TrainedModel<T>& trained = models.trained;
  TrainingInputs<T> given{*inputs.objective, inputs.data, models.reference ? &models.reference->model : nullptr,
                          std::move(reference_nll),
                          control_vector(*inputs.objective, options.samples.seed, inputs.source.config.hidden_size)};
  InRunEvaluation* const in_run = run.in_run ? &*run.in_run : nullptr;
  TrainingLoop<T> loop({options.command,
                        run.folder,
                        options.save,
                        options.log,
                        options.deadline,
                        options.evaluation.stop_at,
                        {options.schedule, options.batch, options.collapse_guard}},
                       inputs.length, trained, std::move(given), in_run, run.info, run.resumed(),
                       models.policies.memory.state(), run.io);
  if (const ExitCode code = loop.run(); code != ExitCode::done) return code;
  log_moved(trained.params.runtime(),
            weights_moved(inputs.source, options.samples.seed, options.optimizer.bf16_master_weights, trained.params));
  if (in_run && !in_run->unmet().empty())
    log_warning(fmt::format("--stop-at \"{}\" was not reached in {}: {}", options.evaluation.stop_at,
                            counted(trained.optimizer.steps, "step"), in_run->unmet()));
  log_info(fmt::format("done: {}", run.folder.root.string()));
  return ExitCode::done;
}

template <Element T>
ExitCode train_as(Session& session, const RunOptions& options, InterruptSignals& signals) {
  Inputs inputs(session, options);
  OpenedRun run(session, options, inputs);
  if (run.finished) return ExitCode::done;
  Models<T> models(session, options, inputs, run);
  signals.heed();
  std::vector<double> reference_nll;
  if (const EndRequest request = prepare_method(session, options, inputs, run, models, reference_nll))
    return end_before_the_first_step(session.runtime(), request);
  return take_all_steps(options, inputs, run, models, std::move(reference_nll));
}

}  // namespace

ExitCode run_training(Session& session, const RunOptions& options) {
  InterruptSignals signals(
      {options.deadline.grace_seconds, [&](const std::string& signal) { end_the_start(session, signal); }});
  return in_element_type(options.compute.dtype,
                         [&]<Element T>(std::type_identity<T>) { return train_as<T>(session, options, signals); });
}

}  // namespace expunge
