// Parses and evaluates --stop-at.
#include "eval/condition.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <re2/re2.h>

#include <algorithm>
#include <charconv>
#include <limits>
#include <vector>

#include "core/text.h"
#include "expunge/error.h"

namespace expunge {

bool StopCondition::holds(const std::function<double(const Operand&)>& value) const {
  return at_least ? value(left) >= wanted(value) : value(left) <= wanted(value);
}

double StopCondition::distance(const std::function<double(const Operand&)>& value) const {
  return find_metric(left.metric).distance(value(left), wanted(value));
}

std::string StopCondition::standing(const std::function<double(const Operand&)>& value) const {
  const Metric& metric = find_metric(left.metric);
  return fmt::format("{} {} is {}, to be at {} {}", left.split, left.metric, metric.text(value(left)),
                     at_least ? "least" : "most", metric.text(wanted(value)));
}

double value_of(const StopCondition::Operand& operand, const SplitTable& evaluation) {
  const auto found = evaluation.find(operand.split);
  return found == evaluation.end() ? std::numeric_limits<double>::quiet_NaN() : found->second[operand.metric];
}

StopCondition parse_stop_condition(const std::string& text) {
  static const RE2 kForm(
      R"([[:space:]]*([^[:space:]:<>=@]+):([a-z_]+)[[:space:]]*(>=|<=)[[:space:]]*(?:([^[:space:]:<>=@]+):([a-z_]+)(@start)?|([-+.0-9eE]+))[[:space:]]*)",
      RE2::Latin1);  // names of splits are bytes
  std::string split, metric, relation, other_split, other_metric, start, number;
  const auto refuse = [&] {
    std::vector<std::string> names;
    for (const Metric& one : metrics()) names.emplace_back(one.name);
    fail(ExitCode::usage,
         fmt::format("--stop-at: expected SPLIT:METRIC >= NUMBER or SPLIT:METRIC >= SPLIT:METRIC[@start] (or <=), "
                     "METRIC one of {}, such as \"forget:perplexity >= approximate:perplexity@start\"; found \"{}\"",
                     fmt::join(names, ", "), excerpt(text)));
  };
  if (!RE2::FullMatch(text, kForm, &split, &metric, &relation, &other_split, &other_metric, &start, &number)) refuse();
  for (const std::string& name : {metric, other_metric})
    if (!name.empty() && std::ranges::find(metrics(), name, &Metric::name) == metrics().end()) refuse();
  StopCondition condition{{split, metric}, relation == ">=", {other_split, other_metric, !start.empty()}};
  if (!number.empty()) {
    const auto [end, error] = std::from_chars(number.data(), number.data() + number.size(), condition.number);
    if (error != std::errc() || end != number.data() + number.size()) refuse();
  }
  return condition;
}

}  // namespace expunge
