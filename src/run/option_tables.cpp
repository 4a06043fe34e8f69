// The tables of the options of `expunge train` and `expunge unlearn`.
#include "run/option_tables.h"

#include <fmt/format.h>

#include "cli/config_text.h"
#include "cli/values.h"
#include "expunge/error.h"
#include "expunge/metric.h"
#include "run/compute_options.h"
#include "run/method_options.h"

namespace expunge {
namespace {

std::vector<Option> batch_options(RunOptions& config) {
  return {
      free_on_resume(whole("per-device-train-batch-size", config.batch.per_device, 1, "sequences in a rank's micro-batch")),
      unresolved(whole("gradient-accumulation-steps", config.batch.accumulation, 0,
                       "micro-batches of a rank in one optimizer step; 0: one, or as many as --global-batch-size needs")),
      whole("global-batch-size", config.batch.global, 0,
            "sequences in one optimizer step, G; the same G gives the same run on any number of ranks; 0: ranks x per-device "
            "batch x accumulation"),
      free_on_resume(
          whole("micro-batch-tokens", config.batch.micro_batch_tokens, 0,
                "pack a step's sequences into micro-batches of at most this many tokens; 0: count sequences instead")),
      whole("max-train-samples", config.samples.most, 0, "use the first N sequences only; 0: all"),
      on_off("shuffle", config.samples.shuffle, "order the sequences anew in each epoch, by --seed"),
      hashed_on_resume(path("sample-order", "FILE", FileUse::file, config.samples.order,
                            "take sequences in this order: one index a line, counted from 0")),
  };
}

std::vector<Option> optimizer_options(RunOptions& config) {
  return {
      real("learning-rate", config.schedule.learning_rate, kNotNegative, "peak of the schedule"),
      choice<ScheduleType>(
          "lr-scheduler-type", config.schedule.type,
          {{"cosine", ScheduleType::cosine}, {"linear", ScheduleType::linear}, {"constant", ScheduleType::constant}},
          "course of the learning rate after the warm-up"),
      real("warmup-ratio", config.schedule.warmup_ratio, kFraction,
           "share of all steps in which the rate rises from 0, rounded up"),
      whole("warmup-steps", config.schedule.warmup_steps, 0,
            "steps in which the rate rises from 0; above 0 it replaces --warmup-ratio"),
      real("num-train-epochs", config.schedule.num_train_epochs, kAboveZero,
           fmt::format("passes over the sequences, in at most {} optimizer steps", kMostSteps)),
      whole("max-steps", config.schedule.max_steps, {-1, kMostSteps},
            "optimizer steps; above 0 it replaces --num-train-epochs"),
      real("weight-decay", config.optimizer.weight_decay, kNotNegative, "AdamW's decay of matrices; norms do not decay"),
      real("max-grad-norm", config.optimizer.max_grad_norm, kNotNegative,
           "clip the global gradient norm to this; 0: no clipping"),
      real("adam-beta1", config.optimizer.beta1, kBelowOne, "AdamW's decay of the first moment"),
      real("adam-beta2", config.optimizer.beta2, kBelowOne, "AdamW's decay of the second moment"),
      real("adam-epsilon", config.optimizer.epsilon, kNotNegative, "added to the root of AdamW's second moment"),
      text("trainable", "REGEX", config.optimizer.trainable,
           "update only parameters whose whole names match, in RE2's syntax: without lookahead and backreferences"),
      seed("seed", config.samples.seed, "seed of the order of sequences, and of random weights"),
  };
}

/// "perplexity, accuracy (0 to 100), probability (0 to 1)".
std::string list_metrics() {
  std::string text;
  for (const Metric& metric : metrics()) {
    if (!text.empty()) text += ", ";
    text += metric.name;
    if (metric.unit != Metric::Unit::factor) text += metric.unit == Metric::Unit::share ? " (0 to 1)" : " (0 to 100)";
  }
  return text;
}

std::vector<Option> evaluation_options(RunOptions& config) {
  return {
      whole("eval-steps", config.evaluation.steps, 0, "steps between evaluations, the first before the run; 0: none"),
      list("eval-split", "SPLIT", config.evaluation.splits,
           "split to evaluate, of the domain or as DOMAIN/SPLIT; without it, all splits of the domain and general/evaluation"),
      whole("per-device-eval-batch-size", config.evaluation.per_device_batch_size, 1,
            "sequences in a rank's micro-batch of an evaluation"),
      whole("max-eval-samples", config.evaluation.max_samples, 0, "use the first N sequences of each split only; 0: all"),
      text("stop-at", "CONDITION", config.evaluation.stop_at,
           fmt::format("end the run, with a checkpoint, when an evaluation meets this condition: \"forget:perplexity >= "
                       "approximate:perplexity@start\"; metrics: {}",
                       list_metrics())),
      real("collapse-guard", config.collapse_guard, kNotNegative,
           "stop when the mean nll of a step's forget or retain sequences exceeds this many times ln(vocabulary); 0: never"),
  };
}

std::vector<Option> run_options(RunOptions& config) {
  return {
      free_on_resume(
          path("output-dir", "DIR", FileUse::output_folder, config.folder.path,
               fmt::format("run folder: config, checkpoints and metrics.h5; without it, "
                           "output/DOMAIN/MODEL/<ranks>_rank_bs_<batch>_gas_<accumulation>_lr_<rate>_epoch<epochs>{}",
                           config.command == "train" ? "/train" : "[_general][_rmgt]/unlearn/METHOD"))),
      unresolved(flag("overwrite-output-dir", config.folder.overwrite, "start again: remove the run in the folder first")),
      naming(FileUse::model,
             unresolved(text("resume-from-checkpoint", "auto|none|PATH", config.folder.resume_from,
                             "auto: resume from the run folder's newest good checkpoint; none: refuse a folder that is "
                             "not empty; PATH: begin from this checkpoint"))),
      free_on_resume(whole("save-steps", config.save.steps, 0, "steps between checkpoints; 0: one after the last step")),
      free_on_resume(whole("save-total-limit", config.save.total_limit, 0, "keep the newest N checkpoints; 0: all")),
      free_on_resume(duration(
          "grace-seconds", config.deadline.grace_seconds, kTime,
          "after USR1, TERM, INT or HUP, finish the optimizer step if it and its checkpoint end within this time, else "
          "drop it")),
      free_on_resume(duration("max-walltime", config.deadline.max_walltime, kTime,
                              "end by itself, with a checkpoint, before the program has run this long; 0: no limit")),
      free_on_resume(whole("logging-steps", config.log.steps, 1, "steps between lines of a batch log")),
      free_on_resume(path("log-jsonl", "FILE", FileUse::log, config.log.jsonl,
                          "append each step's metrics, those of metrics.h5, as a line of JSON")),
      free_on_resume(on_off("tensorboard", config.log.tensorboard,
                            "write each step's metrics for TensorBoard into the run folder's tensorboard/")),
      free_on_resume(flag("quiet", config.quiet, "print warnings and errors only")),
  };
}

std::vector<Option> compute_options(RunOptions& config) {
  std::vector<Option> options = training_compute_options(config.compute);
  options.push_back(choice<bool>("master-weights", config.optimizer.bf16_master_weights, {{"fp32", false}, {"bf16", true}},
                                 "precision of the weights that the optimizer updates, and of the reference model"));
  return options;
}

std::vector<Option> label_options(LabelOptions& config) {
  return {
      whole("top-k", config.top_k, 0, "draw labels from the original model's N most likely ids; 0: no limit"),
      real("top-p", config.top_p, kFraction, "draw labels from the most likely ids that make up this probability"),
      flag("rm-groundtruth", config.rm_groundtruth, "never draw the true id; with --top-k 1 this is the adversarial method"),
      hashed_on_resume(path("labels", "FILE", FileUse::file, config.given,
                            "train on the labels of this file (layout of the token file, int32, -100 = no target)")),
      free_on_resume(path("save-labels", "FILE", FileUse::output, config.save, "also write the drawn labels to this file")),
  };
}

std::vector<Option> method_options_of(RunOptions& config) {
  std::vector<Option> options = {
      method_option(config.method.name),
      choice<bool>("variant", config.released, {{"paper", false}, {"released", true}},
                   "follow the study's paper, or its released code if the two differ"),
      flag("general", config.samples.retain.general, "take retain sequences from general/retain, not from the domain's retain"),
      whole("positive-ratio", config.samples.retain.positive_ratio, 1, "retain sequences after each forget sequence"),
      flag("retain-repeat", config.samples.retain.repeat, "repeat the retain set when it runs out"),
  };
  for (Option& option : label_options(config.labels)) options.push_back(std::move(option));
  return options;
}

Option model_option(RunOptions& config, const char* help) {
  return hashed_on_resume(path("model", "DIR", FileUse::model, config.input.model, help));
}

Option tokens_option(RunOptions& config) {
  return hashed_on_resume(
      required(path("tokens", "FILE", FileUse::file, config.input.tokens, "token file of expunge tokenize")));
}

/// The options of every run.
void add_shared(OptionTable& table, RunOptions& options) {
  table.group("Run folder and log", run_options(options));
  table.group("Optimizer", optimizer_options(options));
  table.group("Batches and their order", batch_options(options));
  table.group("Computing", compute_options(options));
  table.group("Evaluation inside the run", evaluation_options(options));
}

OptionTable table_of(RunOptions& options) { return options.command == "train" ? train_table(options) : unlearn_table(options); }

}  // namespace

OptionTable train_table(RunOptions& options) {
  options.command = "train";
  OptionTable table("train");
  table.group("Input",
              {model_option(options, "model folder to train further (Hugging Face layout, Llama architecture)"),
               hashed_on_resume(path("init-config", "FILE", FileUse::file, options.input.init_config,
                                     "config.json of a model to train from scratch")),
               tokens_option(options), required(list("split", "DOMAIN/SPLIT", options.input.splits, "splits to train on")),
               config_option(), print_config_option()});
  add_shared(table, options);
  return table;
}

OptionTable unlearn_table(RunOptions& options) {
  options.command = "unlearn";
  OptionTable table("unlearn");
  table.group(
      "Input",
      {required(model_option(options, "model folder (Hugging Face layout, Llama architecture)")), tokens_option(options),
       required(text("domain", "NAME", options.input.domain, "domain whose split forget the model should forget")),
       config_option(), print_config_option()});
  table.group("Method", method_options_of(options));
  table.group("Options of methods", methods_own_options(options.method));
  add_shared(table, options);
  return table;
}

void write_option_texts(RunOptions& options) {
  RunOptions none;
  none.command = options.command;
  options.defaults = table_of(none).text();
  options.resolved = table_of(options).text();
}

RunOptions read_run_options(const std::string& config, const std::string& where) {
  RunOptions options;
  std::string method;
  try {
    for (const ConfigEntry& entry : read_config_text(config, where))
      if (entry.key == "method") method = entry.value;
  } catch (const Error& error) {
    fail(ExitCode::bad_input, error.what());
  }
  options.command = method.empty() ? "train" : "unlearn";
  table_of(options).read(config, where, known_method(method) ? "" : "method");
  options.method.name = method;
  return options;
}

}  // namespace expunge
