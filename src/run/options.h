// What a run is asked to do: the options of `expunge train` and `expunge unlearn`, as plain values.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "expunge/objective.h"
#include "session/options.h"

namespace expunge {

/// A run takes at most this many optimizer steps, however their number is said.
inline constexpr std::int64_t kMostSteps = 1'000'000'000;

/// What a run begins from and learns from.
struct InputOptions {
  std::filesystem::path model, init_config, tokens;  ///< model or init_config, a config.json of random weights
  std::string domain;                                ///< unlearn
  std::vector<std::string> splits;                   ///< train: "domain/split"
};

/// Which retain sequences go with the forget sequences, and how.
struct RetainOptions {
  bool general = false;             ///< general/retain instead of the domain's retain
  std::int64_t positive_ratio = 1;  ///< retain sequences after each forget sequence
  bool repeat = false;              ///< begin the retain set again when it runs out
};

/// Which sequences a run takes, and in which order.
struct SampleOptions {
  RetainOptions retain;
  bool shuffle = true;
  std::filesystem::path order;  ///< --sample-order
  std::int64_t most = 0;        ///< --max-train-samples; 0: all
  std::uint64_t seed = 42;
};

/// What random_label trains on.
struct LabelOptions {
  std::int64_t top_k = 0;  ///< draw from the original model's so many most likely ids; 0: no limit
  double top_p = 1;
  bool rm_groundtruth = false;  ///< the true id is never drawn
  std::filesystem::path given = {}, save = {};
  /// Labels come from the original model, not from a uniform draw.
  bool from_model() const { return top_k > 0 || top_p < 1 || rm_groundtruth; }
};

enum class ScheduleType { cosine, linear, constant };

/// How long a run is, and how its learning rate goes.
struct ScheduleOptions {
  double learning_rate = 2e-5;
  double num_train_epochs = 1;
  std::int64_t max_steps = -1;  ///< above 0: overrides num_train_epochs
  double warmup_ratio = 0;
  std::int64_t warmup_steps = 0;  ///< above 0: overrides warmup_ratio
  ScheduleType type = ScheduleType::cosine;
};

/// How an optimizer step is cut into micro-batches.
struct BatchOptions {
  std::int64_t per_device = 1;          ///< sequences in a rank's micro-batch
  std::int64_t accumulation = 0;        ///< 0: 1, or what `global` asks for
  std::int64_t global = 0;              ///< sequences of a step; 0: ranks x per_device x accumulation
  std::int64_t micro_batch_tokens = 0;  ///< most tokens in a micro-batch; 0: count sequences instead
};

struct OptimizerOptions {
  double weight_decay = 0, max_grad_norm = 1, beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8;
  bool bf16_master_weights = false;
  std::string trainable;  ///< regular expression over parameter names; empty: all are trained
};

/// Evaluation inside the run.
struct EvaluationOptions {
  std::int64_t steps = 0;           ///< 0: none
  std::vector<std::string> splits;  ///< empty: those of `expunge eval`
  std::int64_t per_device_batch_size = 1, max_samples = 0;
  std::string stop_at;  ///< a condition on the evaluation's metrics; empty: none
};

/// Where the run folder lies, and what a start does with a run that is there.
struct FolderOptions {
  std::filesystem::path path;
  bool overwrite = false;
  std::string resume_from = "auto";  ///< auto, none or a checkpoint folder
};

/// When checkpoints are written.
struct SaveOptions {
  std::int64_t steps = 0;        ///< 0: only after the last step
  std::int64_t total_limit = 0;  ///< 0: keep all
};

/// How long a run may go on.
struct DeadlineOptions {
  double grace_seconds = 50;  ///< after a signal, for the optimizer step that is under way
  double max_walltime = 0;    ///< seconds from the start to the end, checkpoint included; 0: no limit
};

struct LogOptions {
  std::int64_t steps = 1;       ///< steps between lines of a batch log
  std::filesystem::path jsonl;  ///< a JSON line a step; empty: none
  bool tensorboard = false;     ///< event files in the run folder
};

/// Options of `expunge train` and `expunge unlearn`.
struct RunOptions {
  std::string command;  ///< "train" or "unlearn"
  InputOptions input;
  MethodOptions method;   ///< unlearn
  bool released = false;  ///< --variant: as the study's released code computes it, not as its paper says
  LabelOptions labels;
  SampleOptions samples;
  ScheduleOptions schedule;
  BatchOptions batch;
  OptimizerOptions optimizer;
  double collapse_guard = 3;  ///< stop where a role's mean nll exceeds this many times ln(vocabulary); 0: never
  EvaluationOptions evaluation;
  FolderOptions folder;
  SaveOptions save;
  DeadlineOptions deadline;
  LogOptions log;
  ComputeConfig compute;
  bool quiet = false;

  /// The resolved options as `key = value` lines; what the run folder's `config` holds and --config reads.
  std::string resolved;
  /// The same of a run for which no option was given: what versions did that lacked an option. A new one begins so.
  std::string defaults;
  /// Versions of the program's libraries; what checkpoints say.
  std::string libraries;
};

}  // namespace expunge
