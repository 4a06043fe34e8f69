// The condition of --stop-at: a figure of the evaluation inside training reaches a value.
#pragma once

#include <functional>
#include <map>
#include <string>

#include "eval/metrics.h"

namespace expunge {

/// "SPLIT:FIGURE >= VALUE" or "<=", where FIGURE is perplexity, token_perplexity or accuracy, and VALUE is a number, or
/// SPLIT:FIGURE again (its value now), or SPLIT:FIGURE@start (that of the model before the first step).
struct StopCondition {
  struct Figure {
    std::string split, name;
    bool at_start = false;
  };
  Figure left;
  bool at_least;
  Figure right;  ///< split empty: the number
  double number = 0;

  /// `figure` gives a figure's value; a split may be written without its domain.
  bool holds(const std::function<double(const Figure&)>& figure) const;
  /// How far the left side is from the right one: |ln| of their ratio, of accuracies the difference.
  double distance(const std::function<double(const Figure&)>& figure) const;
  /// Where the left side stands and what it was to reach: "papers/forget perplexity is 3.2, to be at least 9.27".
  std::string standing(const std::function<double(const Figure&)>& figure) const;

 private:
  double wanted(const std::function<double(const Figure&)>& figure) const {
    return right.split.empty() ? number : figure(right);
  }
};

/// A figure of an evaluation, by "domain/split"; NaN where that split was not evaluated, so that no condition on it holds.
double value_of(const StopCondition::Figure& figure, const std::map<std::string, SplitFigures>& evaluation);

/// Throws Error(usage) that shows the form.
StopCondition parse_stop_condition(const std::string& text);

}  // namespace expunge
