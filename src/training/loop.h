// The training loop: steps, metrics, evaluations, checkpoints, and an early end.
#pragma once

#include <chrono>
#include <optional>

#include "core/log.h"
#include "expunge/error.h"
#include "run/options.h"
#include "run/step_log.h"
#include "store/checkpoint_writer.h"
#include "training/deadline.h"
#include "training/in_run_evaluation.h"
#include "training/trained_model.h"
#include "training/trainer.h"

namespace expunge {

/// The maximum of the ranks' numbers, one call late: the reduction runs while the next micro-batch is computed.
class LateMaximum {
 public:
  explicit LateMaximum(const Runtime& runtime) : runtime_(runtime) {}
  ~LateMaximum();
  /// Starts a max-reduction of `mine`; returns the result of the previous call, 0 at first. Collective.
  double exchange(double mine);

 private:
  const Runtime& runtime_;
  double value_ = 0;
  Event reduced_;
};

struct LoopOptions {
  std::string command;  ///< name of the run in the log
  RunFolder run;
  SaveOptions save;
  LogOptions log;
  DeadlineOptions deadline;
  std::string stop_at;
  TrainerOptions trainer;
};

template <Element T>
class TrainingLoop {
 public:
  /// `info` is the record that every checkpoint stores. `resumed` is the checkpoint that the run continues from; empty for
  /// none. `model_bytes` is the size of this rank's model states, for the metrics.
  TrainingLoop(const LoopOptions& options, const RunLength& length, TrainedModel<T>& trained, TrainingInputs<T> inputs,
               InRunEvaluation* in_run, CheckpointInfo& info, const std::filesystem::path& resumed, std::size_t model_bytes,
               IoThread& io);
  /// Stops the I/O thread, because its work uses members of the loop.
  ~TrainingLoop() { io_.stop(); }

  /// Takes all remaining steps. Returns ExitCode::done, or ExitCode::interrupted after an early end with a checkpoint.
  ExitCode run();

 private:
  ExitCode take_steps();
  EndRequest record(StepMetrics metrics);
  EndRequest evaluate();
  void prefer(std::int64_t step);
  void return_to(std::int64_t step);
  void write_rows();
  void save(bool in_background);
  void finish_writing();
  void log_early_end(EndRequest request) const;

  LoopOptions options_;
  const RunLength& length_;
  TrainedModel<T>& trained_;
  InRunEvaluation* in_run_;
  CheckpointInfo& info_;
  std::size_t model_bytes_;
  Deadline end_;
  LateMaximum end_requests_;
  Trainer<T> trainer_;
  Progress progress_;
  IoThread& io_;
  CheckpointWriter<acc_t<T>> writer_;
  std::optional<StepLog> log_;  // on rank 0
  std::chrono::steady_clock::time_point began_ = std::chrono::steady_clock::now();
  double longest_step_ = 0;  // seconds
  double waited_ = 0;        // seconds that training waited for checkpoints
  std::int64_t checkpoints_ = 0;
  std::int64_t first_;       // steps done before this start
  std::int64_t saved_;       // step of the last checkpoint; -1 before the first
  std::int64_t later_ = -1;  // the last step taken, if the run ended with the state of an earlier one; else -1
};

}  // namespace expunge
