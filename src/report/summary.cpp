// Computes the derived metrics of a report.
#include "report/summary.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>

#include "data/batches.h"
#include "expunge/error.h"
#include "expunge/objective.h"
#include "run/trained_splits.h"

namespace expunge {

GoalDistance distance_to_goal(const SplitMetrics& forget_before, const SplitMetrics& approximate_before,
                              const SplitMetrics& forget_after) {
  const double before = forget_before["perplexity"], goal = approximate_before["perplexity"],
               after = forget_after["perplexity"];
  const double way = std::log(goal / before), gone = std::log(after / before);
  return {std::log(after / goal), forget_after["accuracy"] - approximate_before["accuracy"],
          way > 0 ? gone / way : std::numeric_limits<double>::quiet_NaN()};
}

std::vector<std::string> retained_splits(const SplitTable& before, const SplitTable& after, const std::string& domain) {
  std::vector<std::string> splits;
  for (const auto& [name, metrics] : after)
    if (before.contains(name) && name != domain + "/forget" && name != domain + "/approximate") splits.push_back(name);
  return splits;
}

double retained_growth(const SplitTable& before, const SplitTable& after, std::span<const std::string> splits) {
  check(!splits.empty(), "a mean has at least one split");
  double sum = 0;
  for (const std::string& name : splits) sum += std::log(after.at(name)["perplexity"] / before.at(name)["perplexity"]);
  return std::exp(sum / static_cast<double>(splits.size()));
}

std::vector<bool> pareto_front(std::span<const std::array<double, 2>> points) {
  const auto finite = [](const std::array<double, 2>& p) { return std::isfinite(p[0]) && std::isfinite(p[1]); };
  const auto dominates = [&](const std::array<double, 2>& a, const std::array<double, 2>& b) {
    return finite(a) && a[0] <= b[0] && a[1] <= b[1] && (a[0] < b[0] || a[1] < b[1]);
  };
  std::vector<bool> front(points.size());
  for (std::size_t i = 0; i < points.size(); ++i)
    front[i] =
        finite(points[i]) && std::none_of(points.begin(), points.end(), [&](const auto& p) { return dominates(p, points[i]); });
  return front;
}

ComputeCost count_flops(double parameters, double tokens, double reference_tokens, double pretraining_tokens) {
  return {6 * parameters * tokens, 2 * parameters * reference_tokens, 6 * parameters * pretraining_tokens};
}

double reference_tokens(const RunOptions& options, double tokens, double forget_tokens) {
  const auto objective = objective_of(options);
  if (!objective) return 0;
  const std::vector<Term> terms = objective->terms();
  const auto ratio = static_cast<double>(options.samples.retain.positive_ratio);
  double sum = objective->uses_reference_nll() ? forget_tokens : 0;
  if (options.command == "unlearn" && find_method(options.method.name).replaces_labels && options.labels.from_model())
    sum += forget_tokens;
  for (const Term& term : terms)
    if (term.signal.uses_reference()) {
      const double share = term.role == Role::forget ? 1 / (1 + ratio) : ratio / (1 + ratio);
      sum += tokens * (terms.size() > 1 ? share : 1);
    }
  return sum;
}

std::set<std::string> trained_split_names(const RunOptions& options) {
  const auto objective = objective_of(options);
  if (!objective) return {options.input.domain + "/forget"};
  std::set<std::string> names;
  for (const RoleSplit& trained : trained_splits(options, *objective)) names.insert(trained.split);
  return names;
}

std::optional<std::vector<std::size_t>> forget_sequences_taken(const RunOptions& options, std::size_t sequences,
                                                               std::int64_t samples) {
  const auto objective = objective_of(options);
  if (!objective || !options.samples.order.empty()) return std::nullopt;
  const std::vector<Term> terms = objective->terms();
  std::vector<std::size_t> taken;
  if (std::ranges::none_of(terms, [](const Term& term) { return term.role == Role::forget; })) return taken;
  const Interleaving list{terms.size() > 1 ? static_cast<std::size_t>(options.samples.retain.positive_ratio) : 0};
  double items = static_cast<double>(sequences) * static_cast<double>(list.group());
  if (options.samples.most > 0) items = std::min(items, static_cast<double>(options.samples.most));
  if (items > static_cast<double>(kMostItems)) return std::nullopt;
  const auto all = static_cast<std::size_t>(items);
  const std::size_t reached = std::min(all, static_cast<std::size_t>(std::max<std::int64_t>(samples, 0)));
  SampleOrder order(all, options.samples.seed, options.samples.shuffle && reached < all);
  for (std::size_t position = 0; position < reached; ++position)
    if (const std::size_t item = order.item(position); list.is_forget(item)) taken.push_back(list.sequence(item));
  return taken;
}

}  // namespace expunge
