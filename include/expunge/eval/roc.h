// How well scores tell members from non-members: ROC curve, area, rates at low false-positive rates, bootstrap interval.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace expunge {

/// A point for each threshold, from "nothing is a member" (0, 0) to "everything is" (1, 1); a score equal to the threshold is
/// taken for a member's, so equal scores make one point (scikit-learn's roc_curve with drop_intermediate=False).
struct RocCurve {
  std::vector<double> fpr, tpr;  ///< rising
};
/// Members are those that score high. At least one score each; all finite.
RocCurve roc_curve(std::span<const double> members, std::span<const double> non_members);
/// Area under the curve: the probability that a member scores higher than a non-member, ties counted half.
double area(const RocCurve& curve);
/// The largest TPR over thresholds with FPR at most `fpr`; nothing is interpolated.
double tpr_at(const RocCurve& curve, double fpr);
/// Largest balanced accuracy over thresholds: 1 - (FPR + 1 - TPR) / 2.
double best_accuracy(const RocCurve& curve);

struct Interval {
  double low, high;
};
/// 95 % percentile interval of the area over resamples of members and of non-members, each drawn with replacement. Depends on
/// seed and scores alone.
Interval bootstrap_area(std::span<const double> members, std::span<const double> non_members, std::uint64_t seed,
                        int resamples = 1000);

/// Figures of one attack.
struct AttackFigures {
  double auc, auc_low, auc_high, best_accuracy, tpr_at_5, tpr_at_1, tpr_at_0_1;
  std::uint64_t members, non_members;  ///< that were scored
  std::uint64_t left_out;              ///< of both, that were not: their score is no number
  RocCurve curve;

  /// The area that an attacker gets who may also take low scores for members, which is what the study's released code gives.
  double auc_folded() const { return std::max(auc, 1 - auc); }
};
/// After leaving out scores that are no numbers there must be members and non-members.
AttackFigures summarise_attack(std::span<const double> members, std::span<const double> non_members, std::uint64_t seed);

}  // namespace expunge
