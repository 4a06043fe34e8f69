// What a run is asked to do: the resolved options of `expunge train` and `expunge unlearn`, as plain values.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "expunge/objective.h"
#include "session/options.h"

namespace expunge {

enum class ScheduleType { cosine, linear, constant };

/// Which retain sequences go with the forget sequences, and how.
struct RetainConfig {
  bool general = false;             ///< general/retain instead of the domain's retain
  std::int64_t positive_ratio = 1;  ///< retain sequences after each forget sequence
  bool repeat = false;              ///< begin the retain set again when it runs out
};

/// What random_label trains on.
struct LabelConfig {
  std::int64_t top_k = 0;  ///< draw from the original model's so many most likely ids; 0: no limit
  double top_p = 1;
  bool rm_groundtruth = false;  ///< the true id is never drawn
  std::filesystem::path given = {}, save = {};
  /// Labels come from the original model, not from a uniform draw.
  bool from_model() const { return top_k > 0 || top_p < 1 || rm_groundtruth; }
};

/// Options of `expunge train` and `expunge unlearn`.
struct TrainConfig {
  std::string command;  ///< "train" or "unlearn"
  std::filesystem::path model, init_config, tokens, output_dir;
  std::string domain;       ///< unlearn
  MethodOptions objective;  ///< unlearn
  RetainConfig retain;
  LabelConfig labels;
  std::string trainable;            ///< regular expression over parameter names; empty: all are trained
  std::vector<std::string> splits;  ///< train: "domain/split"
  ComputeConfig compute;

  double learning_rate = 2e-5;
  double num_train_epochs = 1;
  std::int64_t max_steps = -1;  ///< above 0: overrides num_train_epochs
  std::int64_t per_device_train_batch_size = 1;
  std::int64_t gradient_accumulation_steps = 0;  ///< 0: 1, or what global_batch_size asks for
  std::int64_t global_batch_size = 0;            ///< 0: world x per-device batch x accumulation
  double warmup_ratio = 0;
  std::int64_t warmup_steps = 0;  ///< above 0: overrides warmup_ratio
  ScheduleType schedule = ScheduleType::cosine;
  double weight_decay = 0, max_grad_norm = 1, adam_beta1 = 0.9, adam_beta2 = 0.999, adam_epsilon = 1e-8;
  bool bf16_master_weights = false;
  std::uint64_t seed = 42;
  bool shuffle = true;
  std::filesystem::path sample_order;
  std::int64_t max_train_samples = 0;  ///< 0: all

  std::int64_t eval_steps = 0;           ///< 0: no evaluation inside training
  std::vector<std::string> eval_splits;  ///< empty: those of `expunge eval`
  std::int64_t per_device_eval_batch_size = 1, max_eval_samples = 0;
  std::string stop_at;        ///< a condition on the evaluation's figures; empty: none
  double collapse_guard = 3;  ///< stop where a role's mean nll exceeds this many times ln(vocabulary); 0: never

  bool overwrite_output_dir = false;
  std::string resume_from_checkpoint = "auto";  ///< auto, none or a checkpoint folder
  std::int64_t save_steps = 0;                  ///< 0: only after the last step
  std::int64_t save_total_limit = 0;            ///< 0: keep all
  double grace_seconds = 50;                    ///< after a signal, for the optimizer step that is under way
  double max_walltime = 0;                      ///< seconds from the start to the end, checkpoint included; 0: no limit
  std::int64_t logging_steps = 1;
  std::filesystem::path log_jsonl;  ///< a JSON line a step; empty: none
  bool tensorboard = false;         ///< event files in the run folder
  bool quiet = false;

  /// The resolved options as `key = value` lines; what the run folder's `config` holds and --config reads.
  std::string resolved;
  /// The same of a run for which no option was given: what versions did that lacked an option. A new one begins so.
  std::string defaults;
  /// Versions of the program's libraries; what checkpoints say.
  std::string libraries;
};

}  // namespace expunge
