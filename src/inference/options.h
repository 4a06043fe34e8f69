// Common options of commands that pass splits or texts through a model.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include "session/options.h"

namespace expunge {

/// Options of commands that pass splits through a model and write its metrics or scores.
struct ScoringConfig {
  std::filesystem::path model, tokens, output;  ///< model: a model folder, a run folder or a checkpoint folder
  std::string domain;
  ComputeConfig compute;
  std::int64_t per_device_eval_batch_size = 1;
  std::int64_t micro_batch_tokens = 0;  ///< most tokens in a micro-batch; 0: count sequences instead
  std::int64_t max_eval_samples = 0;    ///< number of first sequences to use of each split; 0: all
  bool overwrite = false, quiet = false;
  std::string resolved, libraries;  ///< as in RunOptions
};

/// Options of commands that give texts to a model and write its answers.
struct TextConfig {
  std::filesystem::path model, output;  ///< model: a model folder, a run folder or a checkpoint folder
  ComputeConfig compute;
  std::int64_t per_device_eval_batch_size = 8;
  bool overwrite = false, quiet = false;
  std::string resolved, libraries;  ///< as in RunOptions
};

/// Options of `expunge task`.
struct TaskConfig : TextConfig {
  std::filesystem::path tasks, fewshot_file;  ///< fewshot_file empty: examples are the first items of `tasks`
  std::int64_t num_fewshot = 0;
  std::int64_t max_new_tokens = 256;
};

}  // namespace expunge
