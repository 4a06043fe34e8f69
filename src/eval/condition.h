// The condition of --stop-at: a metric of an evaluation inside the run reaches a value.
#pragma once

#include <functional>
#include <string>

#include "eval/metrics.h"

namespace expunge {

/// "SPLIT:METRIC >= VALUE" or "<=". METRIC is one of metrics(). VALUE is a number, SPLIT:METRIC (its current value), or
/// SPLIT:METRIC@start (its value for the model before the first step).
struct StopCondition {
  struct Operand {
    std::string split, metric;
    bool at_start = false;
  };
  Operand left;
  bool at_least;
  Operand right;  ///< with an empty split: `number` instead
  double number = 0;

  /// `value` gives an operand's value; a split may lack its domain.
  bool holds(const std::function<double(const Operand&)>& value) const;
  /// Distance of the left side from the right one: Metric::distance() of the left side's metric.
  double distance(const std::function<double(const Operand&)>& value) const;
  /// The value of the left side and its goal: "papers/forget perplexity is 3.2, to be at least 9.27".
  std::string standing(const std::function<double(const Operand&)>& value) const;

 private:
  double wanted(const std::function<double(const Operand&)>& value) const {
    return right.split.empty() ? number : value(right);
  }
};

/// The value of an operand in an evaluation; NaN if its split was not evaluated, so that no condition on it holds.
double value_of(const StopCondition::Operand& operand, const SplitTable& evaluation);

/// Parses a condition. Throws Error(usage), showing the form, for any other text.
StopCondition parse_stop_condition(const std::string& text);

}  // namespace expunge
