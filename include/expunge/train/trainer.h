// One optimizer step after another: the heart of `expunge train` and `expunge unlearn`.
#pragma once

#include <algorithm>
#include <cstdint>

#include "expunge/model/llama.h"
#include "expunge/train/metrics_file.h"
#include "expunge/train/optimizer.h"
#include "expunge/train/training_data.h"
#include "expunge/unlearn/objective.h"

namespace expunge {

/// How long a run is: steps = ceil(items x epochs / global batch), or max_steps. The last step may hold fewer items.
struct RunLength {
  RunLength(const TrainConfig& config, std::size_t items);
  /// Items of the sample order that the first `n` steps consume.
  std::int64_t samples_after(std::int64_t n) const { return std::min(n * global_batch, samples); }

  std::int64_t global_batch, samples, steps;
};

/// The most tokens that a micro-batch of the run can hold, for reserving memory.
int largest_micro_batch(const TrainConfig& config, const TrainingData& data);

template <Element T>
class Trainer {
 public:
  Trainer(const TrainConfig& config, Llama<T>& model, Optimizer<T>& optimizer, const Objective& objective, TrainingData& data);

  /// The next optimizer step on all ranks. Throws Error(collapse) when loss or gradient is not finite; the weights are then
  /// as before the step.
  StepMetrics step();

 private:
  struct Sums;
  std::vector<std::size_t> step_items();
  Scope count(const std::vector<std::size_t>& items) const;
  void micro_batch(const std::vector<std::size_t>& items, const Scope& scope, Sums& sums);

  const TrainConfig& config_;
  Llama<T>& model_;
  Optimizer<T>& optimizer_;
  const Objective& objective_;
  TrainingData& data_;
  RunLength length_;
  std::int64_t warmup_;
};

}  // namespace expunge
