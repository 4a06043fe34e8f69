// The steps of a run and what comes between them: metrics, evaluations, checkpoints, and an end before its time.
#pragma once

#include <chrono>
#include <optional>

#include "core/log.h"
#include "expunge/error.h"
#include "run/options.h"
#include "run/step_log.h"
#include "store/checkpoint_writer.h"
#include "training/deadline.h"
#include "training/monitor.h"
#include "training/trained_model.h"
#include "training/trainer.h"

namespace expunge {

/// The largest of the ranks' numbers, one call late: while the next micro-batch is computed, the numbers travel.
class LateMaximum {
 public:
  explicit LateMaximum(const Runtime& runtime) : runtime_(runtime) {}
  ~LateMaximum();
  /// Gives in `mine`, and returns what the last call's numbers came to. Collective.
  double exchange(double mine);

 private:
  const Runtime& runtime_;
  double value_ = 0;
  Event there_;
};

struct LoopOptions {
  std::string command;  ///< what the log calls the run
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
  /// `info` says what every checkpoint says of the run; `resumed` is the one that it goes on from, if any; `model_bytes` are
  /// this rank's model states, for the metrics.
  TrainingLoop(const LoopOptions& options, const RunLength& length, TrainedModel<T>& trained, TrainingInputs<T> inputs,
               Monitor* monitor, CheckpointInfo& info, const std::filesystem::path& resumed, std::size_t model_bytes,
               IoThread& io);
  /// Ends the work of the I/O thread, which is on what is the loop's.
  ~TrainingLoop() { io_.stop(); }

  /// All steps that are left: ExitCode::done; or ExitCode::interrupted when it ended early, with a checkpoint.
  ExitCode run();

 private:
  ExitCode take_steps();
  double record(StepMetrics metrics);
  double evaluate();
  void prefer(std::int64_t step);
  void return_to(std::int64_t step);
  void write_rows();
  void save(bool in_background);
  void finish_writing();
  void log_early_end(double urgency) const;

  LoopOptions options_;
  const RunLength& length_;
  TrainedModel<T>& trained_;
  Monitor* monitor_;
  CheckpointInfo& info_;
  std::size_t model_bytes_;
  EndInTime end_;
  LateMaximum urgency_;
  Trainer<T> trainer_;
  Progress progress_;
  IoThread& io_;
  CheckpointWriter<acc_t<T>> writer_;
  std::optional<StepLog> log_;  // on rank 0
  std::chrono::steady_clock::time_point began_ = std::chrono::steady_clock::now();
  double longest_step_ = 0;  // seconds
  double waited_ = 0;        // seconds in which training stood still for checkpoints
  std::int64_t checkpoints_ = 0;
  std::int64_t first_;       // steps done before this start
  std::int64_t saved_;       // step of the last checkpoint; -1 before the first
  std::int64_t later_ = -1;  // the last step made, where the run ended with the state of an earlier one
};

}  // namespace expunge
