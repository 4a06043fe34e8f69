// Writes a run's steps to metrics.h5 and to the requested logs.
#pragma once

#include <chrono>
#include <cstdint>
#include <mutex>
#include <optional>
#include <vector>

#include "run/jsonl_log.h"
#include "run/options.h"
#include "run/provenance.h"
#include "run/run_folder.h"
#include "run/run_mark.h"
#include "run/step_metrics.h"
#include "run/tensorboard.h"

namespace expunge {

class StepLog {
 public:
  /// For one rank. Drops rows past `last_step`, because a resumed run repeats those steps; `checkpoint` is the resumed one.
  StepLog(const RunFolder& run, const LogOptions& options, std::int64_t last_step, const std::filesystem::path& checkpoint,
          const Provenance& provenance)
      : metrics_(run.metrics(), last_step, checkpoint) {
    metrics_.annotate([&](Hdf5File& file) { write_provenance(file, provenance); });
    if (!options.jsonl.empty()) jsonl_.emplace(options.jsonl, last_step, run_id(run));
    if (options.tensorboard) tensorboard_.emplace(run.tensorboard(), last_step);
  }
  /// Queues a step for write(), which may run in another thread.
  void add(const StepMetrics& metrics) {
    const std::lock_guard lock(mutex_);
    waiting_.push_back(metrics);
  }
  /// Writes the queued steps if the last write is a quarter of a second ago. A write copies and flushes metrics.h5, which
  /// would slow down steps of milliseconds.
  void write_in_time() {
    if (std::chrono::steady_clock::now() - written_ >= std::chrono::milliseconds(250)) write();
  }
  /// Writes all queued steps.
  void write() {
    std::vector<StepMetrics> steps;
    {
      const std::lock_guard lock(mutex_);
      steps.swap(waiting_);
    }
    if (steps.empty()) return;
    written_ = std::chrono::steady_clock::now();
    metrics_.append(steps);
    for (const StepMetrics& metrics : steps) {
      if (jsonl_) jsonl_->append(metrics);
      if (tensorboard_) tensorboard_->append(metrics);
    }
  }
  /// Writes an evaluation to the requested logs, but not to evaluations.h5. Call it after write() of its step.
  void write_evaluation(std::int64_t step, const NamedMetrics& metrics) {
    if (jsonl_) jsonl_->append(step, metrics);
    if (tensorboard_) tensorboard_->append(step, metrics);
  }

 private:
  std::mutex mutex_;
  std::vector<StepMetrics> waiting_;
  std::chrono::steady_clock::time_point written_;
  MetricsFile metrics_;
  std::optional<JsonlLog> jsonl_;
  std::optional<TensorboardFile> tensorboard_;
};

}  // namespace expunge
