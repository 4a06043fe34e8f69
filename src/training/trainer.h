// Takes the optimizer steps of `expunge train` and `expunge unlearn`.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <vector>

#include "expunge/objective.h"
#include "model/llama.h"
#include "run/options.h"
#include "run/step_metrics.h"
#include "training/optimizer.h"
#include "training/run_length.h"
#include "training/training_data.h"

namespace expunge {

struct TrainerOptions {
  ScheduleOptions schedule;
  BatchOptions batch;
  double collapse_guard = 3;  ///< as in RunOptions
};

/// What a run trains with besides the model.
template <Element T>
struct TrainingInputs {
  const Objective& objective;
  TrainingData& data;
  Llama<T>* reference = nullptr;           ///< the reference model; null if no signal uses it
  std::vector<double> reference_nll = {};  ///< of each forget sequence; empty if the objective does not use it
  std::vector<double> control = {};        ///< control_vector(); empty if the objective does not use it
};

/// Called before every micro-batch, with this rank's estimate of the seconds left in the step. All ranks get the same result.
using DropStep = std::function<bool(double seconds_left)>;

template <Element T>
class Trainer {
 public:
  /// Copies `length`.
  Trainer(const RunLength& length, TrainerOptions options, Llama<T>& model, Optimizer<T>& optimizer, TrainingInputs<T> inputs);

  /// Takes the next optimizer step on all ranks; returns nothing if `drop` returned true. Throws Error(collapse) if the loss or
  /// the gradient is not finite, or the model has collapsed. In both cases the weights stay as before the step.
  std::optional<StepMetrics> step(const DropStep& drop = {});

  /// Checks the last update before it is saved, by the mean nll of the text of that step's first micro-batches. Throws
  /// Error(collapse) if it is not finite or the model has collapsed. Collective.
  void check_update();

 private:
  struct Sums;
  std::vector<std::size_t> step_items(std::int64_t step);
  BatchDeal deal(const std::vector<std::size_t>& items) const;
  double seconds_left(std::size_t round, std::size_t rounds, double since_start) const;
  Scope count(const std::vector<std::size_t>& items) const;
  bool uses_reference(Role role) const;
  void micro_batch(std::vector<std::size_t> items, const Scope& scope, bool with_reference, Sums& sums);
  bool has_collapsed(double nll) const;
  std::string describe_collapse(const char* role, double nll) const;
  void guard_against_collapse(const StepMetrics& metrics) const;
  void run_round(const BatchDeal& deal, std::size_t round, const std::vector<std::size_t>& items, const Scope& scope,
                 Sums& sums);
  std::string find_bad_gradient(const BatchDeal& deal, const std::vector<std::size_t>& items, const Scope& scope);
  [[noreturn]] void refuse_to_go_on(const StepMetrics& metrics, const std::string& culprit) const;

  TrainerOptions options_;
  Llama<T>& model_;
  Optimizer<T>& optimizer_;
  TrainingInputs<T> inputs_;
  RunLength length_;
  std::int64_t warmup_;
  double micro_batch_seconds_ = 0, update_seconds_ = 0;  // of the last step: a micro-batch; the work after the last one
  double first_seconds_ = 0;                             // the first micro-batch of this step
};

}  // namespace expunge
