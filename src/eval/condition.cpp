// Parsing --stop-at.
#include "eval/condition.h"

#include <fmt/format.h>
#include <re2/re2.h>

#include <charconv>
#include <cmath>
#include <limits>

#include "core/text.h"
#include "expunge/error.h"

namespace expunge {

bool StopCondition::holds(const std::function<double(const Figure&)>& figure) const {
  return at_least ? figure(left) >= wanted(figure) : figure(left) <= wanted(figure);
}

double StopCondition::distance(const std::function<double(const Figure&)>& figure) const {
  const double found = figure(left), goal = wanted(figure);
  return left.name == "accuracy" ? std::abs(found - goal) : std::abs(std::log(found / goal));
}

std::string StopCondition::standing(const std::function<double(const Figure&)>& figure) const {
  return fmt::format("{} {} is {:.4g}, to be at {} {:.4g}", left.split, left.name, figure(left), at_least ? "least" : "most",
                     wanted(figure));
}

double value_of(const StopCondition::Figure& figure, const std::map<std::string, SplitFigures>& evaluation) {
  const auto found = evaluation.find(figure.split);
  if (found == evaluation.end()) return std::numeric_limits<double>::quiet_NaN();
  if (figure.name == "perplexity") return found->second.perplexity;
  return figure.name == "accuracy" ? found->second.accuracy : found->second.token_perplexity;
}

StopCondition parse_stop_condition(const std::string& text) {
  static const RE2 kForm(
      R"([[:space:]]*([^[:space:]:<>=@]+):(perplexity|token_perplexity|accuracy)[[:space:]]*(>=|<=)[[:space:]]*(?:([^[:space:]:<>=@]+):(perplexity|token_perplexity|accuracy)(@start)?|([-+.0-9eE]+))[[:space:]]*)",
      RE2::Latin1);  // names of splits are bytes
  std::string split, name, relation, other_split, other_name, start, number;
  const auto refuse = [&] {
    fail(ExitCode::usage,
         fmt::format("--stop-at: expected SPLIT:FIGURE >= NUMBER or SPLIT:FIGURE >= SPLIT:FIGURE[@start] (or <=), "
                     "FIGURE one of perplexity, token_perplexity and accuracy, such as "
                     "\"forget:perplexity >= approximate:perplexity@start\"; found \"{}\"",
                     excerpt(text)));
  };
  if (!RE2::FullMatch(text, kForm, &split, &name, &relation, &other_split, &other_name, &start, &number)) refuse();
  StopCondition condition{{split, name}, relation == ">=", {other_split, other_name, !start.empty()}};
  if (!number.empty()) {
    const auto [end, error] = std::from_chars(number.data(), number.data() + number.size(), condition.number);
    if (error != std::errc() || end != number.data() + number.size()) refuse();
  }
  return condition;
}

}  // namespace expunge
