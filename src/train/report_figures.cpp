// Arithmetic of the report.
#include "train/report_figures.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <set>

#include "expunge/core/error.h"

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

double reference_tokens(const std::map<std::string, std::string>& options, double tokens) {
  const auto value = [&](const char* key, const std::string& absent) {
    const auto found = options.find(key);
    return found == options.end() || found->second.empty() ? absent : found->second;
  };
  const std::string method = value("method", "");
  if (method == "ascent_plus_kl_divergence") {
    const double ratio = std::strtod(value("positive-ratio", "1").c_str(), nullptr);
    return ratio > 0 && std::isfinite(ratio) ? tokens * ratio / (1 + ratio) : tokens;
  }
  if (method == "random_label")
    return value("top-k", "0") != "0" || value("top-p", "1") != "1" || value("rm-groundtruth", "off") == "on" ? tokens : 0;
  static const std::set<std::string> kAll = {"npo", "undial", "rmu"};
  return kAll.contains(method) ? tokens : 0;
}

}  // namespace expunge
