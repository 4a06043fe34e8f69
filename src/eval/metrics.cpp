// The table of metrics, and their computation.
#include "eval/metrics.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "expunge/error.h"

namespace expunge {
namespace {

using Values = std::span<const double>;
using Targets = std::span<const std::uint64_t>;

double mean(Values values, Targets) {
  return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

double mean_nll(const TargetScores& scores) {
  return -std::accumulate(scores.log_prob.begin(), scores.log_prob.end(), 0.0) / static_cast<double>(scores.log_prob.size());
}

double share_of_hits(const TargetScores& scores) {
  return std::accumulate(scores.hit.begin(), scores.hit.end(), 0.0) / static_cast<double>(scores.hit.size());
}

double percent_of_hits(Values values, Targets) {
  return 100 * std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

double exp_of_token_mean(Values values, Targets targets) {
  double sum = 0;
  std::uint64_t tokens = 0;
  for (std::size_t i = 0; i < values.size(); ++i) {
    sum += values[i] * static_cast<double>(targets[i]);
    tokens += targets[i];
  }
  return std::exp(sum / static_cast<double>(tokens));
}

double mean_probability(Values values, Targets) {
  double sum = 0;
  for (const double nll : values) sum += std::exp(-nll);
  return sum / static_cast<double>(values.size());
}

}  // namespace

const std::vector<Metric>& metrics() {
  using Unit = Metric::Unit;
  static const std::vector<Metric> all = {
      // exp(mean over sequences of nll), as in Yao et al. 2024 and its released code.
      {"perplexity", "perplexity", Unit::factor, "nll", mean_nll,
       [](Values nll, Targets targets) { return std::exp(mean(nll, targets)); }},
      // exp(mean over all targets), as in most other tools.
      {"token_perplexity", "per token", Unit::factor, "nll", mean_nll, exp_of_token_mean},
      // Mean over sequences of the share of targets that are the most likely token, teacher-forced.
      {"accuracy", "accuracy", Unit::percent, "accuracy", share_of_hits, percent_of_hits},
      // The same as a share: Tirumala et al. 2022.
      {"exact_memorisation", "memorisation", Unit::share, "accuracy", share_of_hits,
       [](Values hits, Targets targets) { return percent_of_hits(hits, targets) / 100; }},
      // Mean over sequences; see extraction_strength().
      {"extraction_strength", "extraction", Unit::share, "extraction_strength",
       [](const TargetScores& scores) { return extraction_strength(scores.hit); }, mean},
      // Mean over sequences of exp(-nll), the geometric mean of the targets' probabilities (Maini et al. 2024, TOFU).
      {"probability", "probability", Unit::share, "nll", mean_nll, mean_probability},
  };
  return all;
}

const Metric& find_metric(std::string_view name) {
  const auto found = std::ranges::find(metrics(), name, &Metric::name);
  if (found != metrics().end()) return *found;
  std::vector<std::string_view> names;
  for (const Metric& metric : metrics()) names.push_back(metric.name);
  fail(ExitCode::usage, fmt::format("unknown metric '{}'; use one of: {}", name, fmt::join(names, ", ")));
}

std::string Metric::text(double value) const {
  if (std::isnan(value)) return "unknown";
  if (unit == Unit::factor) return fmt::format("{:.4g}", value);
  return fmt::format("{:.2f} %", unit == Unit::share ? 100 * value : value);
}

double Metric::distance(double value, double goal) const {
  return unit == Unit::factor ? std::abs(std::log(value / goal)) : std::abs(value - goal);
}

const std::vector<SequenceValue>& sequence_values() {
  static const std::vector<SequenceValue> all = [] {
    std::vector<SequenceValue> values;
    for (const Metric& metric : metrics())
      if (std::ranges::find(values, metric.dataset, &SequenceValue::name) == values.end())
        values.push_back({metric.dataset, metric.of_sequence});
    return values;
  }();
  return all;
}

std::size_t place_of_value(std::string_view name) {
  const auto found = std::ranges::find(sequence_values(), name, &SequenceValue::name);
  check(found != sequence_values().end(), "a value of a sequence is one that a metric keeps");
  return static_cast<std::size_t>(found - sequence_values().begin());
}

SplitMetrics::SplitMetrics() : values_(metrics().size(), std::numeric_limits<double>::quiet_NaN()) {}

std::size_t SplitMetrics::place(std::string_view name) {
  return static_cast<std::size_t>(&find_metric(name) - metrics().data());
}

double extraction_strength(std::span<const std::uint8_t> hits) {
  check(!hits.empty(), "a sequence has targets");
  const auto suffix = std::find(hits.rbegin(), hits.rend(), std::uint8_t{0}) - hits.rbegin();
  return static_cast<double>(std::max<std::ptrdiff_t>(suffix, 1)) / static_cast<double>(hits.size());
}

SequenceMetrics summarise_sequence(const TargetScores& scores) {
  check(!scores.log_prob.empty() && scores.log_prob.size() == scores.hit.size(),
        "a sequence has a hit for each of its targets");
  SequenceMetrics sequence{scores.log_prob.size(), {}};
  for (const SequenceValue& value : sequence_values()) sequence.values.push_back(value.of_sequence(scores));
  return sequence;
}

SplitMetrics summarise_split(std::span<const SequenceMetrics> sequences) {
  check(!sequences.empty(), "a split has sequences");
  SplitMetrics split;
  split.sequences = sequences.size();
  std::vector<std::uint64_t> targets;
  for (const SequenceMetrics& sequence : sequences) targets.push_back(sequence.targets);
  split.targets = std::accumulate(targets.begin(), targets.end(), std::uint64_t{0});
  for (const Metric& metric : metrics()) {
    const std::size_t place = place_of_value(metric.dataset);
    std::vector<double> values;
    for (const SequenceMetrics& sequence : sequences) values.push_back(sequence.values[place]);
    split[metric.name] = metric.aggregate(values, targets);
  }
  return split;
}

}  // namespace expunge
