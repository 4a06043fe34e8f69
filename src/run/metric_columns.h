// The list of a step's metrics, for every file that stores them.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "run/step_metrics.h"

namespace expunge {

/// Visits the metrics of a step, const or not, with their names, in the order of the columns; `visit` takes std::int64_t or
/// double.
template <typename Step, typename Visit>
void for_each_metric(Step& m, Visit visit) {
  visit("step", m.step);
  visit("loss", m.loss);
  visit("loss_forget", m.loss_forget);
  visit("loss_retain", m.loss_retain);
  visit("learning_rate", m.learning_rate);
  visit("grad_norm", m.grad_norm);
  visit("tokens", m.tokens);
  visit("tokens_per_second", m.tokens_per_second);
  visit("memory_bytes", m.memory_bytes);
  visit("model_state_bytes", m.model_state_bytes);
}

}  // namespace expunge
