// A metric of evaluation: host arithmetic from what the model says of a split's targets to one number.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace expunge {

/// What one pass of the model says of a sequence's n targets; every metric of the sequence comes from it.
struct TargetScores {
  std::vector<double> log_prob;        ///< (n) log-probability of the target, nats
  std::vector<std::uint8_t> hit;       ///< (n) 1 where the most likely token is the target
  std::vector<double> mean, variance;  ///< (n) of the log-probability under the model; empty unless asked for
};

/// A row of the table of metrics.
struct Metric {
  enum class Unit : std::uint8_t {
    factor,   ///< above 0; two values are compared by their ratio
    percent,  ///< 0 to 100; two values are compared by their difference
    share     ///< 0 to 1, shown in percent; two values are compared by their difference
  };
  std::string_view name;     ///< "token_perplexity": what files, logs and --stop-at call it
  std::string_view heading;  ///< "per token": what tables call it
  Unit unit;
  /// What is kept of each sequence: the name of its dataset in eval.h5, and its value. Metrics may share one.
  std::string_view dataset;
  double (*of_sequence)(const TargetScores& scores);
  /// The metric of a split from its sequences' values (n, at least 1) and numbers of targets (n).
  double (*aggregate)(std::span<const double> values, std::span<const std::uint64_t> targets);

  /// "12.34 %", "5.678", or "unknown" for what is not a number.
  std::string text(double value) const;
  /// How far `value` is from `goal`: |ln| of their ratio, or the size of their difference.
  double distance(double value, double goal) const;
};

/// All metrics, in the order in which they are shown. The first says how well a text is known.
const std::vector<Metric>& metrics();
/// The metric of this name; throws Error(usage) that lists the names for an unknown one.
const Metric& find_metric(std::string_view name);

}  // namespace expunge
