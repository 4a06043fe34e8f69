// Separation of members and non-members by scores: ROC curve, area, rates at low false-positive rates, bootstrap interval.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace expunge {

/// A point for each threshold, from "nothing is a member" (0, 0) to "everything is" (1, 1). A score equal to the threshold
/// counts as a member, so equal scores make one point (scikit-learn's roc_curve with drop_intermediate=False).
struct RocCurve {
  std::vector<double> fpr, tpr;  ///< ascending
};
/// The curve for high scores as a sign of members. Needs at least one score per side; all finite.
RocCurve roc_curve(std::span<const double> members, std::span<const double> non_members);
/// Area under the curve: the probability that a member scores higher than a non-member, ties counted half.
double area(const RocCurve& curve);
/// The largest TPR over thresholds with FPR at most `fpr`, without interpolation.
double tpr_at(const RocCurve& curve, double fpr);
/// Largest balanced accuracy over thresholds: 1 - (FPR + 1 - TPR) / 2.
double best_accuracy(const RocCurve& curve);

struct Interval {
  double low, high;
};
inline constexpr int kResamples = 1000;
/// The document of each score; scores of one document are adjacent. Empty: each score is a document of its own.
struct ScoreDocuments {
  std::span<const std::uint64_t> members = {}, non_members = {};
};
/// 95 % percentile interval of the area over resamples of members and of non-members. Draws documents with replacement, as many
/// per side as there are. A document brings all its scores, because they are not independent. Depends on seed, scores and
/// documents only.
Interval bootstrap_area(std::span<const double> members, std::span<const double> non_members, std::uint64_t seed,
                        int resamples = kResamples, const ScoreDocuments& documents = {});

/// Rates of an attacker who takes the scores on one side of a threshold for members.
struct AttackRates {
  double best_accuracy, tpr_at_5, tpr_at_1, tpr_at_0_1;
};

/// Metrics of one attack.
struct AttackMetrics {
  double auc, auc_low, auc_high;
  AttackRates high, low;               ///< for high scores as a sign of members; for low ones, as after too much forgetting
  std::uint64_t members, non_members;  ///< numbers of scored sequences
  std::uint64_t left_out;              ///< number of sequences of both sides with a score of NaN
  RocCurve curve;                      ///< for high scores

  /// True if low scores separate better than high ones.
  bool low_is_stronger() const { return auc < 0.5; }
  const AttackRates& stronger() const { return low_is_stronger() ? low : high; }
  /// The area for an attacker who may also take low scores for members, as in the study's released code.
  double auc_folded() const { return std::max(auc, 1 - auc); }
};
/// After scores of NaN are left out, both sides must have scores.
AttackMetrics summarise_attack(std::span<const double> members, std::span<const double> non_members, std::uint64_t seed,
                               const ScoreDocuments& documents = {});

}  // namespace expunge
