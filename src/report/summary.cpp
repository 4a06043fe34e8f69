// Arithmetic of the report.
#include "report/summary.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <limits>
#include <memory>

#include "cli/config_text.h"
#include "data/batches.h"
#include "expunge/error.h"
#include "expunge/objective.h"

namespace expunge {

GoalDistance distance_to_goal(const SplitFigures& forget_before, const SplitFigures& approximate_before,
                              const SplitFigures& forget_after) {
  const double way = std::log(approximate_before.perplexity / forget_before.perplexity);
  const double gone = std::log(forget_after.perplexity / forget_before.perplexity);
  return {std::log(forget_after.perplexity / approximate_before.perplexity),
          forget_after.accuracy - approximate_before.accuracy, way > 0 ? gone / way : std::numeric_limits<double>::quiet_NaN()};
}

std::vector<std::string> retained_splits(const SplitTable& before, const SplitTable& after, const std::string& domain) {
  std::vector<std::string> splits;
  for (const auto& [name, figures] : after)
    if (before.contains(name) && name != domain + "/forget" && name != domain + "/approximate") splits.push_back(name);
  return splits;
}

double retained_growth(const SplitTable& before, const SplitTable& after, std::span<const std::string> splits) {
  check(!splits.empty(), "a mean has at least one split");
  double sum = 0;
  for (const std::string& name : splits) sum += std::log(after.at(name).perplexity / before.at(name).perplexity);
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

namespace {

/// What of a run's options decides which sequences it takes, and whether the frozen model takes part.
struct MethodUse {
  explicit MethodUse(const std::map<std::string, std::string>& options) {
    const auto text = [&](const char* key) {
      const auto found = options.find(key);
      return found == options.end() ? std::string() : found->second;
    };
    const auto number = [&](const char* key, double absent) {
      const std::string value = text(key);
      return value.empty() ? absent : std::strtod(value.c_str(), nullptr);
    };
    method.method = text("method");
    method.released = text("variant") == "released";
    method.retain_kl = text("retain-loss") == "kl";
    if (!text("alpha").empty()) method.alpha = number("alpha", 0);
    ratio = number("positive-ratio", 1);
    most_items = number("max-train-samples", 0);
    shuffle = text("shuffle") == "on";
    own_order = !text("sample-order").empty();
    seed = std::strtoull(text("seed").c_str(), nullptr, 10);
    labels = number("top-k", 0) > 0 || number("top-p", 1) < 1 || text("rm-groundtruth") == "true";
  }

  /// Nothing for a method that this version does not know.
  std::unique_ptr<Objective> objective() const {
    const auto known = [&](const MethodInfo& info) { return info.name == method.method; };
    return std::ranges::any_of(methods(), known) ? make_objective(method) : nullptr;
  }

  MethodOptions method;
  double ratio;       ///< retain sequences to a forget sequence
  double most_items;  ///< that the run's list may hold; 0: no limit
  bool shuffle, own_order;
  std::uint64_t seed;
  bool labels;  ///< drawn from the original model
};

}  // namespace

double reference_tokens(const std::map<std::string, std::string>& options, double tokens, double forget_tokens) {
  const MethodUse use(options);
  const auto objective = use.objective();
  if (!objective) return 0;
  const std::vector<Term> terms = objective->terms();
  double sum = objective->uses_reference_nll() ? forget_tokens : 0;
  if (method_info(use.method.method).replaces_labels && use.labels) sum += forget_tokens;
  for (const Term& term : terms)
    if (term.signal.uses_reference()) {
      const double share = term.role == Role::forget ? 1 / (1 + use.ratio) : use.ratio / (1 + use.ratio);
      sum += tokens * (terms.size() > 1 ? share : 1);
    }
  return sum;
}

std::set<std::string> trained_splits(const std::string& config) {
  std::map<std::string, std::string> options;
  std::set<std::string> splits;
  for (const ConfigEntry& entry : read_config_text(config, "config")) {
    options[entry.key] = entry.value;
    if (entry.key == "split" && !entry.value.empty()) splits.insert(entry.value);
  }
  const std::string& domain = options["domain"];
  if (domain.empty()) return splits;  // expunge train
  const auto objective = MethodUse(options).objective();
  if (!objective) return {domain + "/forget"};
  splits.clear();
  const std::string retain = options["general"] == "true" ? "general/retain" : domain + "/retain";
  for (const Term& term : objective->terms()) splits.insert(term.role == Role::forget ? domain + "/forget" : retain);
  return splits;
}

std::optional<std::vector<std::size_t>> forget_sequences_taken(const std::map<std::string, std::string>& options,
                                                               std::size_t sequences, std::int64_t samples) {
  const MethodUse use(options);
  const auto objective = use.objective();
  if (!objective || use.own_order) return std::nullopt;
  const std::vector<Term> terms = objective->terms();
  std::vector<std::size_t> taken;
  if (std::ranges::none_of(terms, [](const Term& term) { return term.role == Role::forget; })) return taken;
  const double stride = terms.size() > 1 ? 1 + use.ratio : 1;  // items from one forget sequence to the next
  double items = static_cast<double>(sequences) * stride;
  if (use.most_items > 0) items = std::min(items, use.most_items);
  if (!(stride >= 1 && items <= static_cast<double>(kMostItems))) return std::nullopt;
  const auto every = static_cast<std::size_t>(stride), all = static_cast<std::size_t>(items);
  const std::size_t reached = std::min(all, static_cast<std::size_t>(std::max<std::int64_t>(samples, 0)));
  SampleOrder order(all, use.seed, use.shuffle && reached < all);
  for (std::size_t position = 0; position < reached; ++position)
    if (const std::size_t item = order.item(position); item % every == 0) taken.push_back(item / every);
  return taken;
}

}  // namespace expunge
