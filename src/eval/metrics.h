// Metrics of a sequence and of a split.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "expunge/metric.h"

namespace expunge {

/// True for the first row: every version wrote it, and the report gives it a ratio.
inline bool is_first(const Metric& metric) { return &metric == &metrics().front(); }

/// A stored value of each sequence: Metric::dataset and of_sequence, each once, in the order of the metrics.
struct SequenceValue {
  std::string_view name;
  double (*of_sequence)(const TargetScores& scores);
};
const std::vector<SequenceValue>& sequence_values();
/// Index of a value in sequence_values(). Throws Error(internal) for an unknown name.
std::size_t place_of_value(std::string_view name);

/// The values of one sequence.
struct SequenceMetrics {
  std::uint64_t targets = 0;
  std::vector<double> values;  ///< one for each of sequence_values()
  double operator[](std::string_view name) const { return values[place_of_value(name)]; }
};

/// The metrics of one split: a value for each of metrics(), NaN if unknown.
class SplitMetrics {
 public:
  SplitMetrics();

  /// By the metric's name.
  double operator[](std::string_view name) const { return values_[place(name)]; }
  double& operator[](std::string_view name) { return values_[place(name)]; }

  std::uint64_t sequences = 0, targets = 0;  ///< 0 if unknown

 private:
  static std::size_t place(std::string_view name);

  std::vector<double> values_;
};

/// By "domain/split".
using SplitTable = std::map<std::string, SplitMetrics>;

/// 1 - k / n for the smallest k such that the targets k .. n - 1 all are the most likely token (Carlini et al. 2021). k is at
/// most n - 1 as in open-unlearning, so the result is 1 / n if nothing is extracted. `hits` (n), n at least 1.
double extraction_strength(std::span<const std::uint8_t> hits);

/// Needs at least one target.
SequenceMetrics summarise_sequence(const TargetScores& scores);
/// Needs at least one sequence.
SplitMetrics summarise_split(std::span<const SequenceMetrics> sequences);

}  // namespace expunge
