// The condition of --stop-at: a metric of the evaluation inside training reaches a value.
#pragma once

#include <functional>
#include <string>

#include "eval/metrics.h"

namespace expunge {

/// "SPLIT:METRIC >= VALUE" or "<=", where METRIC is one of metrics(), and VALUE is a number, or SPLIT:METRIC again (its value
/// now), or SPLIT:METRIC@start (that of the model before the first step).
struct StopCondition {
  struct Operand {
    std::string split, metric;
    bool at_start = false;
  };
  Operand left;
  bool at_least;
  Operand right;  ///< split empty: the number
  double number = 0;

  /// `value` gives an operand's value; a split may be written without its domain.
  bool holds(const std::function<double(const Operand&)>& value) const;
  /// How far the left side is from the right one: Metric::distance() of the left side's metric.
  double distance(const std::function<double(const Operand&)>& value) const;
  /// Where the left side stands and what it was to reach: "papers/forget perplexity is 3.2, to be at least 9.27".
  std::string standing(const std::function<double(const Operand&)>& value) const;

 private:
  double wanted(const std::function<double(const Operand&)>& value) const {
    return right.split.empty() ? number : value(right);
  }
};

/// The value of an operand in an evaluation; NaN where that split was not evaluated, so that no condition on it holds.
double value_of(const StopCondition::Operand& operand, const SplitTable& evaluation);

/// Throws Error(usage) that shows the form.
StopCondition parse_stop_condition(const std::string& text);

}  // namespace expunge
