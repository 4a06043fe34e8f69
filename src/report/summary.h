// The figures that a report derives: distance to the goal, what was kept, the Pareto front, compute. Host arithmetic.
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

/// How far a model is from treating the forget set as the original model treats text that it never saw: approximate
/// retraining, Yao et al. 2024, section 4.
struct GoalDistance {
  double log_ratio;  ///< ln(forget perplexity now / approximate perplexity of the original): 0 at the goal, below: still known
  double accuracy_gap;  ///< accuracy on forget now less that of the original on approximate, percentage points
  double progress;      ///< share of the way in log perplexity: 0 untouched, 1 at the goal; NaN where there was no way to go
};
GoalDistance distance_to_goal(const SplitMetrics& forget_before, const SplitMetrics& approximate_before,
                              const SplitMetrics& forget_after);

/// The splits, in both tables, that forgetting `domain` should leave alone: all but its forget and approximate.
std::vector<std::string> retained_splits(const SplitTable& before, const SplitTable& after, const std::string& domain);
/// Geometric mean over `splits` (at least one) of perplexity after / before: 1 where nothing was lost.
double retained_growth(const SplitTable& before, const SplitTable& after, std::span<const std::string> splits);

/// Which points no other dominates: none is at least as small in both figures and smaller in one. Points that are not finite
/// are never on the front.
std::vector<bool> pareto_front(std::span<const std::array<double, 2>> points);

/// Floating-point operations of a run and of training the original model anew.
struct ComputeCost {
  double training;    ///< 6 x parameters x tokens
  double reference;   ///< 2 x parameters x tokens that the frozen model sees
  double retraining;  ///< 6 x parameters x pretraining tokens; 0 when those are not known
  double total() const { return training + reference; }
  double ratio() const { return retraining / total(); }
};
ComputeCost count_flops(double parameters, double tokens, double reference_tokens, double pretraining_tokens);

/// About how many tokens pass the frozen original model in a run that trained on `tokens`. A role whose term compares with it:
/// all of its tokens, in a mixed method by the interleaving, one forget sequence for positive_ratio retain ones. Labels or nll
/// that are taken from it beforehand: the forget set once. Options are those of the run's config; a method that this version
/// does not know counts nothing.
double reference_tokens(const RunOptions& options, double tokens, double forget_tokens);

/// The splits, "domain/split", that a run with these options trains on; of a method that this version does not know, the forget
/// split.
std::set<std::string> trained_splits(const RunOptions& options);

/// Which of `sequences` forget sequences a run has trained on that took the first `samples` of its sample order, each once;
/// TrainingData says how its list is made. Nothing where the options do not tell: --sample-order, a method that this version
/// does not know, numbers that no run can have.
std::optional<std::vector<std::size_t>> forget_sequences_taken(const RunOptions& options, std::size_t sequences,
                                                               std::int64_t samples);

}  // namespace expunge
