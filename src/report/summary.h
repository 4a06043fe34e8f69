// The derived metrics of a report: distance to the goal, retained quality, the Pareto front, compute. Host arithmetic.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "eval/metrics.h"
#include "run/options.h"

namespace expunge {

/// The distance of a model from approximate retraining (Yao et al. 2024, section 4): it should treat the forget set as the
/// original model treats text that it never saw.
struct GoalDistance {
  double log_ratio;  ///< ln(forget perplexity now / approximate perplexity of the original): 0 at the goal, negative before it
  double accuracy_gap;  ///< accuracy on forget now minus that of the original on approximate, percentage points
  double progress;      ///< share of the way in log perplexity: 0 untouched, 1 at the goal; NaN if there is no way to go
};
GoalDistance distance_to_goal(const SplitMetrics& forget_before, const SplitMetrics& approximate_before,
                              const SplitMetrics& forget_after);

/// The splits in both tables that forgetting `domain` should not change: all except its forget and approximate.
std::vector<std::string> retained_splits(const SplitTable& before, const SplitTable& after, const std::string& domain);
/// Geometric mean over `splits` (at least one) of perplexity after / before: 1 if nothing was lost.
double retained_growth(const SplitTable& before, const SplitTable& after, std::span<const std::string> splits);

/// True for each point that no other point dominates. A point dominates if it is at least as small in both metrics and smaller
/// in one. Points that are not finite are never on the front.
std::vector<bool> pareto_front(std::span<const std::array<double, 2>> points);

/// Floating-point operations of a run, and of training the original model again.
struct ComputeCost {
  double training;    ///< 6 x parameters x tokens
  double reference;   ///< 2 x parameters x tokens through the reference model
  double retraining;  ///< 6 x parameters x pretraining tokens; 0 if those are unknown
  double total() const { return training + reference; }
  double ratio() const { return retraining / total(); }
};
ComputeCost count_flops(double parameters, double tokens, double reference_tokens, double pretraining_tokens);

/// Estimates the tokens that pass through the reference model in a run that trained on `tokens`. A role whose term compares
/// with it counts all of its tokens; a mixed method has one forget sequence for positive_ratio retain ones. Labels or nll from
/// it before the first step count the forget set once. `options` are those of the run's config; a method that this version does
/// not know counts nothing.
double reference_tokens(const RunOptions& options, double tokens, double forget_tokens);

/// The splits, "domain/split", that a run with these options trains on. For a method that this version does not know, the
/// forget split.
std::set<std::string> trained_split_names(const RunOptions& options);

/// The forget sequences, out of `sequences`, in the first `samples` items of a run's sample order, each once. TrainingData
/// documents the list of items. Returns nothing if the options do not determine it: --sample-order, a method that this version
/// does not know, numbers that no run can have.
std::optional<std::vector<std::size_t>> forget_sequences_taken(const RunOptions& options, std::size_t sequences,
                                                               std::int64_t samples);

}  // namespace expunge
