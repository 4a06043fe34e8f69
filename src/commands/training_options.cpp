// What `expunge train` and `expunge unlearn` have in common.
#include <fmt/format.h>

#include <algorithm>

#include "cli/values.h"
#include "commands/shared_options.h"
#include "commands/start.h"
#include "commands/train.h"
#include "commands/training_options.h"
#include "commands/unlearn.h"
#include "expunge/error.h"
#include "run/run_name.h"
#include "training/run_length.h"
#include "training/training.h"

namespace expunge {
namespace {

std::vector<Option> batch_options(TrainConfig& c) {
  return {
      whole("per-device-train-batch-size", c.per_device_train_batch_size, 1, "sequences in a rank's micro-batch"),
      unresolved(whole("gradient-accumulation-steps", c.gradient_accumulation_steps, 0,
                       "micro-batches of a rank in one optimizer step; 0: one, or what --global-batch-size asks for")),
      whole("global-batch-size", c.global_batch_size, 0,
            "sequences in one optimizer step, G; the same G gives the same run on any number of ranks; 0: ranks x per-device "
            "batch x accumulation"),
      whole("micro-batch-tokens", c.compute.micro_batch_tokens, 0,
            "pack a step's sequences into micro-batches of at most this many tokens; 0: count sequences instead"),
      whole("max-train-samples", c.max_train_samples, 0, "use the first N sequences only; 0: all"),
      on_off("shuffle", c.shuffle, "order the sequences anew in each epoch, by --seed"),
      path("sample-order", "FILE", FileUse::file, c.sample_order,
           "take sequences in this order: one index a line, counted from 0"),
  };
}

std::vector<Option> optimizer_options(TrainConfig& c) {
  return {
      real("learning-rate", c.learning_rate, kNotNegative, "peak of the schedule"),
      choice<ScheduleType>(
          "lr-scheduler-type", c.schedule,
          {{"cosine", ScheduleType::cosine}, {"linear", ScheduleType::linear}, {"constant", ScheduleType::constant}},
          "course of the learning rate after the warm-up"),
      real("warmup-ratio", c.warmup_ratio, kFraction, "share of all steps in which the rate rises from 0, rounded up"),
      whole("warmup-steps", c.warmup_steps, 0, "steps in which the rate rises from 0; above 0 it replaces --warmup-ratio"),
      real("num-train-epochs", c.num_train_epochs, kAboveZero,
           fmt::format("passes over the sequences, in at most {} optimizer steps", kMostSteps)),
      whole("max-steps", c.max_steps, {-1, kMostSteps}, "optimizer steps; above 0 it replaces --num-train-epochs"),
      real("weight-decay", c.weight_decay, kNotNegative, "AdamW's decay of matrices; norms do not decay"),
      real("max-grad-norm", c.max_grad_norm, kNotNegative, "clip the global gradient norm to this; 0: no clipping"),
      real("adam-beta1", c.adam_beta1, kBelowOne, "AdamW's decay of the first moment"),
      real("adam-beta2", c.adam_beta2, kBelowOne, "AdamW's decay of the second moment"),
      real("adam-epsilon", c.adam_epsilon, kNotNegative, "added to the root of AdamW's second moment"),
      text("trainable", "REGEX", c.trainable,
           "update only parameters whose whole names match, in RE2's syntax: without lookahead and backreferences"),
      seed("seed", c.seed, "of the order of sequences, and of weights from scratch"),
  };
}

std::vector<Option> evaluation_options(TrainConfig& c) {
  return {
      whole("eval-steps", c.eval_steps, 0, "steps between evaluations, the first before the run; 0: none"),
      list("eval-split", "SPLIT", c.eval_splits,
           "split to evaluate, of the domain or as DOMAIN/SPLIT; without it, all of the domain and general/evaluation"),
      whole("per-device-eval-batch-size", c.per_device_eval_batch_size, 1,
            "sequences in a rank's micro-batch of an evaluation"),
      whole("max-eval-samples", c.max_eval_samples, 0, "use the first N sequences of each split only; 0: all"),
      text("stop-at", "CONDITION", c.stop_at,
           "end the run, with a checkpoint, when an evaluation meets this: \"forget:perplexity >= "
           "approximate:perplexity@start\""),
      real("collapse-guard", c.collapse_guard, kNotNegative,
           "stop when the mean nll of a step's forget or retain sequences exceeds this many times ln(vocabulary); 0: never"),
  };
}

std::vector<Option> run_options(TrainConfig& c) {
  return {
      path("output-dir", "DIR", FileUse::output_folder, c.output_dir,
           fmt::format("run folder: config, checkpoints and metrics.h5; without it, "
                       "output/DOMAIN/MODEL/<ranks>_rank_bs_<batch>_gas_<accumulation>_lr_<rate>_epoch<epochs>{}",
                       c.command == "train" ? "/train" : "[_general][_rmgt]/unlearn/METHOD")),
      unresolved(flag("overwrite-output-dir", c.overwrite_output_dir, "start afresh: remove the run that lies there")),
      naming(FileUse::model,
             unresolved(text("resume-from-checkpoint", "auto|none|PATH", c.resume_from_checkpoint,
                             "auto: go on where the run folder's newest good checkpoint ends; none: refuse a folder that is "
                             "not empty"))),
      whole("save-steps", c.save_steps, 0, "steps between checkpoints; 0: one after the last step"),
      whole("save-total-limit", c.save_total_limit, 0, "keep the newest N checkpoints; 0: all"),
      duration("grace-seconds", c.grace_seconds, kTime,
               "after USR1, TERM, INT or HUP, finish the optimizer step if it and its checkpoint end within this time, else "
               "drop it"),
      duration("max-walltime", c.max_walltime, kTime,
               "end by itself, with a checkpoint, before the program has run this long; 0: no limit"),
      whole("logging-steps", c.logging_steps, 1, "steps between lines of a batch log"),
      path("log-jsonl", "FILE", FileUse::log, c.log_jsonl,
           "append each step's figures, those of metrics.h5, as a line of JSON"),
      on_off("tensorboard", c.tensorboard, "write each step's figures for TensorBoard into the run folder's tensorboard/"),
      flag("quiet", c.quiet, "print warnings and errors only"),
  };
}

std::vector<Option> compute_options(TrainConfig& c) {
  std::vector<Option> options = training_compute_options(c.compute);
  options.push_back(choice<bool>("master-weights", c.bf16_master_weights, {{"fp32", false}, {"bf16", true}},
                                 "precision of the weights that the optimizer updates, and of the original model beside them"));
  return options;
}

/// G and the accumulation say the same thing: the later source wins. (Whether two of one source agree is known to resolve().)
void settle_batch(TrainConfig& config, const OptionTable& given) {
  const OptionSource global = given.source("global-batch-size"), accumulation = given.source("gradient-accumulation-steps");
  if (global > accumulation && config.global_batch_size > 0) config.gradient_accumulation_steps = 0;
  if (accumulation > global) config.global_batch_size = 0;
}

/// A sample order is not shuffled: of the two options the later source wins.
void settle_order(TrainConfig& config, const OptionTable& given) {
  if (config.sample_order.empty()) return;
  const OptionSource order = given.source("sample-order"), shuffle = given.source("shuffle");
  if (config.shuffle && shuffle == order)
    fail(ExitCode::usage, "--sample-order fixes the order of sequences and --shuffle on changes it; give one of them");
  if (config.shuffle && shuffle > order) config.sample_order.clear();
  if (order > shuffle) config.shuffle = false;
}

}  // namespace

OptionTable training_table(TrainConfig& config, std::vector<OptionGroup> first) {
  OptionTable table(config.command);
  first.front().second.push_back(config_option());
  first.front().second.push_back(print_config_option());
  for (OptionGroup& group : first) table.group(group.first, std::move(group.second));
  table.group("Run folder and log", run_options(config));
  table.group("Optimizer", optimizer_options(config));
  table.group("Batches and their order", batch_options(config));
  table.group("Computing", compute_options(config));
  table.group("Evaluation inside the run", evaluation_options(config));
  return table;
}

void check_training(TrainConfig& config, const OptionTable& given) {
  check_compute(config.compute, given);
  const bool wide = config.compute.dtype == DType::float64;
  if (wide && (config.bf16_master_weights || config.compute.reduce_in_bf16))
    fail(ExitCode::usage,
         "--dtype float64 keeps weights and gradients in float64; drop --master-weights and --reduce-dtype bf16");
  settle_batch(config, given);
  settle_order(config, given);
  if (!config.stop_at.empty() && config.eval_steps == 0) fail(ExitCode::usage, "--stop-at needs --eval-steps N");
  if (!config.eval_splits.empty() && config.eval_steps == 0) fail(ExitCode::usage, "--eval-split needs --eval-steps N");
  check_splits("eval-split", config.domain, config.eval_splits);
  if (config.eval_steps > 0 && config.domain.empty() && config.eval_splits.empty())
    fail(ExitCode::usage, "--eval-steps needs --eval-split DOMAIN/SPLIT");
}

void resolve(TrainConfig& config, int world_size) {
  const std::int64_t ranks = world_size, batch = config.per_device_train_batch_size;
  const std::int64_t steps = std::max<std::int64_t>(config.gradient_accumulation_steps, 1);
  const std::int64_t product = checked_sequences_of_step(ranks, batch, steps);
  if (config.global_batch_size == 0) config.global_batch_size = product;
  if (config.gradient_accumulation_steps > 0 && config.global_batch_size != product)
    fail(ExitCode::usage,
         fmt::format("--global-batch-size {} does not agree with {} ranks x --per-device-train-batch-size {} x "
                     "--gradient-accumulation-steps {} = {}; leave out --gradient-accumulation-steps",
                     config.global_batch_size, ranks, batch, steps, product));
  check_global_batch(config.global_batch_size);
  if (config.output_dir.empty()) config.output_dir = run_name(config, world_size);
  const auto text = [&](TrainConfig& of) {
    return (config.command == "train" ? train_options(of) : unlearn_options(of)).text();
  };
  TrainConfig none;
  config.defaults = text(none);
  config.resolved = text(config);
}

int start_training(TrainConfig& config, const OptionTable& given) {
  return with_model(config, &Session::default_dtype, [&](Session& session) {
    resolve(config, session.world_size());
    check_files(session, given);
    return run_training(session, config);
  });
}

}  // namespace expunge
