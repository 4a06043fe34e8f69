// Computes the scores of Min-K%, Min-K%++, loss and zlib.
#include "eval/attacks.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>

#include "expunge/error.h"

namespace expunge {
namespace {

constexpr std::array kPercents = {20, 30, 40, 50, 60, 100};
constexpr double kLeastVariance = 1e-6;

}  // namespace

double mean_of_lowest(std::vector<double> values, int percent) {
  check(percent > 0 && percent <= 100, "a share of the values");
  const std::size_t k = values.size() * static_cast<std::size_t>(percent) / 100;
  if (k == 0) return kLeftOut;
  const auto end = values.begin() + static_cast<std::ptrdiff_t>(k);
  std::nth_element(values.begin(), end - 1, values.end());
  std::sort(values.begin(), end);  // fixes the order of summation, which nth_element does not
  return std::accumulate(values.begin(), end, 0.0) / static_cast<double>(k);
}

double min_k(const TargetScores& scores, int percent) { return mean_of_lowest(scores.log_prob, percent); }

double min_k_plus_plus(const TargetScores& scores, int percent) {
  check(scores.mean.size() == scores.log_prob.size() && scores.variance.size() == scores.log_prob.size(),
        "a mean and a variance for each target");
  std::vector<double> values(scores.log_prob.size());
  for (std::size_t t = 0; t < values.size(); ++t)
    values[t] = (scores.log_prob[t] - scores.mean[t]) / std::sqrt(std::max(scores.variance[t], kLeastVariance));
  return mean_of_lowest(std::move(values), percent);
}

double mean_log_prob(const TargetScores& scores) {
  check(!scores.log_prob.empty(), "a sequence has targets");
  return std::accumulate(scores.log_prob.begin(), scores.log_prob.end(), 0.0) / static_cast<double>(scores.log_prob.size());
}

double zlib_score(double mean_log_prob, std::size_t compressed_bytes) {
  check(compressed_bytes > 0, "zlib writes a header at least");
  return mean_log_prob / static_cast<double>(compressed_bytes);
}

const std::vector<std::string>& attack_names() {
  static const std::vector<std::string> names = [] {
    std::vector<std::string> all;
    for (const char* family : {"min_k_", "min_k_plus_plus_"})
      for (const int percent : kPercents) all.push_back(family + std::to_string(percent));
    all.push_back("loss");
    return all;
  }();
  return names;
}

std::vector<double> attack_scores(const TargetScores& scores) {
  std::vector<double> all;
  for (const auto attack : {min_k, min_k_plus_plus})
    for (const int percent : kPercents) all.push_back(attack(scores, percent));
  all.push_back(mean_log_prob(scores));
  return all;
}

}  // namespace expunge
