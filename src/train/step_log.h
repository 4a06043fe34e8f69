// Where a run's steps are written: metrics.h5, and the logs that were asked for.
#pragma once

#include <cstdint>
#include <optional>

#include "expunge/train/config.h"
#include "expunge/train/metrics_file.h"
#include "expunge/train/run_folder.h"
#include "train/jsonl_log.h"
#include "train/tensorboard_file.h"

namespace expunge {

class StepLog {
 public:
  /// Of one rank. Rows past `last_step` go: a resumed run repeats those steps.
  StepLog(const TrainConfig& config, std::int64_t last_step) : metrics_(RunFolder{config.output_dir}.metrics(), last_step) {
    if (!config.log_jsonl.empty()) jsonl_.emplace(config.log_jsonl, last_step);
    if (config.tensorboard) tensorboard_.emplace(RunFolder{config.output_dir}.tensorboard(), last_step);
  }
  void append(const StepMetrics& metrics) {
    metrics_.append(metrics);
    if (jsonl_) jsonl_->append(metrics);
    if (tensorboard_) tensorboard_->append(metrics);
  }

 private:
  MetricsFile metrics_;
  std::optional<JsonlLog> jsonl_;
  std::optional<TensorboardFile> tensorboard_;
};

}  // namespace expunge
