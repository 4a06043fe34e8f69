// Parsing --stop-at.
#include "train/stop_condition.h"

#include <fmt/format.h>

#include <charconv>
#include <cmath>
#include <limits>
#include <regex>

#include "expunge/core/error.h"

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
  constexpr std::size_t kLongest = 1000;  // characters; the regular expression recurses for each
  static const std::regex kForm(
      R"(\s*([^\s:<>=@]+):(perplexity|token_perplexity|accuracy)\s*(>=|<=)\s*(?:([^\s:<>=@]+):(perplexity|token_perplexity|accuracy)(@start)?|([-+.0-9eE]+))\s*)");
  std::smatch match;
  const auto refuse = [&] {
    fail(ExitCode::usage,
         fmt::format("--stop-at: expected SPLIT:FIGURE >= NUMBER or SPLIT:FIGURE >= SPLIT:FIGURE[@start] (or <=), "
                     "FIGURE one of perplexity, token_perplexity and accuracy, such as "
                     "\"forget:perplexity >= approximate:perplexity@start\"; found \"{}\"",
                     text.substr(0, kLongest)));
  };
  if (text.size() > kLongest || !std::regex_match(text, match, kForm)) refuse();
  StopCondition condition{{match[1], match[2]}, match[3] == ">=", {match[4], match[5], match[6].matched}};
  if (match[7].matched) {
    const std::string number = match[7];
    const auto [end, error] = std::from_chars(number.data(), number.data() + number.size(), condition.number);
    if (error != std::errc() || end != number.data() + number.size()) refuse();
  }
  return condition;
}

}  // namespace expunge
