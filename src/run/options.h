// The options of `expunge train` and `expunge unlearn` as plain values.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "expunge/objective.h"
#include "session/options.h"

namespace expunge {

/// The most optimizer steps of a run.
inline constexpr std::int64_t kMostSteps = 1'000'000'000;

/// The model and the text of a run.
struct InputOptions {
  std::filesystem::path model, init_config, tokens;  ///< model, or init_config: a config.json for random weights
  std::string domain;                                ///< unlearn
  std::vector<std::string> splits;                   ///< train: "domain/split"
};

/// The retain sequences, and how they follow the forget sequences.
struct RetainOptions {
  bool general = false;             ///< general/retain instead of the domain's retain
  std::int64_t positive_ratio = 1;  ///< retain sequences after each forget sequence
  bool repeat = false;              ///< repeat the retain set when it runs out
};

/// The sequences of a run, and their order.
struct SampleOptions {
  RetainOptions retain;
  bool shuffle = true;
  std::filesystem::path order;  ///< --sample-order
  std::int64_t most = 0;        ///< --max-train-samples; 0: all
  std::uint64_t seed = 42;
};

/// The labels of random_label.
struct LabelOptions {
  std::int64_t top_k = 0;  ///< draw from this many most likely ids of the original model; 0: no limit
  double top_p = 1;
  bool rm_groundtruth = false;  ///< never draw the true id
  std::filesystem::path given = {}, save = {};
  /// True if labels are drawn from the original model, not uniformly.
  bool from_model() const { return top_k > 0 || top_p < 1 || rm_groundtruth; }
};

enum class ScheduleType { cosine, linear, constant };

/// The length of a run, and the course of its learning rate.
struct ScheduleOptions {
  double learning_rate = 2e-5;
  double num_train_epochs = 1;
  std::int64_t max_steps = -1;  ///< above 0: overrides num_train_epochs
  double warmup_ratio = 0;
  std::int64_t warmup_steps = 0;  ///< above 0: overrides warmup_ratio
  ScheduleType type = ScheduleType::cosine;
};

/// The division of an optimizer step into micro-batches.
struct BatchOptions {
  std::int64_t per_device = 1;          ///< sequences in a rank's micro-batch
  std::int64_t accumulation = 0;        ///< 0: 1, or as many as `global` needs
  std::int64_t global = 0;              ///< sequences of a step; 0: ranks x per_device x accumulation
  std::int64_t micro_batch_tokens = 0;  ///< most tokens in a micro-batch; 0: count sequences instead
};

struct OptimizerOptions {
  double weight_decay = 0, max_grad_norm = 1, beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8;
  bool bf16_master_weights = false;
  std::string trainable;  ///< regular expression over parameter names; empty: all are trained
};

/// Evaluations inside the run.
struct EvaluationOptions {
  std::int64_t steps = 0;           ///< 0: none
  std::vector<std::string> splits;  ///< empty: those of `expunge eval`
  std::int64_t per_device_batch_size = 1, max_samples = 0;
  std::string stop_at;  ///< a condition on an evaluation's metrics; empty: none
};

/// The run folder, and what a start does with a run in it.
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

/// Limits of a run's time.
struct DeadlineOptions {
  double grace_seconds = 50;  ///< after a signal, for the current optimizer step
  double max_walltime = 0;    ///< seconds from the start to the end, checkpoint included; 0: no limit
};

struct LogOptions {
  std::int64_t steps = 1;       ///< steps between lines of a batch log
  std::filesystem::path jsonl;  ///< file with a JSON line per step; empty: none
  bool tensorboard = false;     ///< event files in the run folder
};

/// Options of `expunge train` and `expunge unlearn`.
struct RunOptions {
  std::string command;  ///< "train" or "unlearn"
  InputOptions input;
  MethodOptions method;   ///< unlearn
  bool released = false;  ///< --variant: computed as in the study's released code, not as in its paper
  LabelOptions labels;
  SampleOptions samples;
  ScheduleOptions schedule;
  BatchOptions batch;
  OptimizerOptions optimizer;
  double collapse_guard = 3;  ///< stop if a role's mean nll exceeds this many times ln(vocabulary); 0: never
  EvaluationOptions evaluation;
  FolderOptions folder;
  SaveOptions save;
  DeadlineOptions deadline;
  LogOptions log;
  ComputeConfig compute;
  bool quiet = false;

  /// The resolved options as `key = value` lines, for the run folder's `config` and for --config.
  std::string resolved;
  /// The same for a run without any option: the behaviour of versions that lacked an option.
  std::string defaults;
  /// Versions of the program's libraries, for checkpoints.
  std::string libraries;
};

}  // namespace expunge
