// The list of a step's metrics, for every file that stores them.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "run/step_metrics.h"

namespace expunge {

/// Visits the metrics of a step: their names and members, std::int64_t or double, in the order of the columns.
template <typename Visit>
void for_each_metric(Visit visit) {
  visit("step", &StepMetrics::step);
  visit("loss", &StepMetrics::loss);
  visit("loss_forget", &StepMetrics::loss_forget);
  visit("loss_retain", &StepMetrics::loss_retain);
  visit("learning_rate", &StepMetrics::learning_rate);
  visit("grad_norm", &StepMetrics::grad_norm);
  visit("tokens", &StepMetrics::tokens);
  visit("tokens_per_second", &StepMetrics::tokens_per_second);
  visit("memory_bytes", &StepMetrics::memory_bytes);
  visit("model_state_bytes", &StepMetrics::model_state_bytes);
}

}  // namespace expunge
