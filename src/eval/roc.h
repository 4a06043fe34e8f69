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
inline constexpr int kResamples = 1000;
/// The document of each score; those of one document stand side by side. Empty: each score stands for itself.
struct ScoreDocuments {
  std::span<const std::uint64_t> members = {}, non_members = {};
};
/// 95 % percentile interval of the area over resamples of members and of non-members. Of each side as many documents as there
/// are are drawn with replacement, each with all its scores: those of one document are not independent. Depends on seed,
/// scores and documents alone.
Interval bootstrap_area(std::span<const double> members, std::span<const double> non_members, std::uint64_t seed,
                        int resamples = kResamples, const ScoreDocuments& documents = {});

/// What an attacker gains who takes the scores on one side of a threshold for members.
struct AttackRates {
  double best_accuracy, tpr_at_5, tpr_at_1, tpr_at_0_1;
};

/// Figures of one attack.
struct AttackMetrics {
  double auc, auc_low, auc_high;
  AttackRates high, low;               ///< members are those that score high; that score low, as after too much forgetting
  std::uint64_t members, non_members;  ///< that were scored
  std::uint64_t left_out;              ///< of both, that were not: their score is no number
  RocCurve curve;                      ///< of high scores

  /// Whether low scores tell members better than high ones.
  bool low_is_stronger() const { return auc < 0.5; }
  const AttackRates& stronger() const { return low_is_stronger() ? low : high; }
  /// The area that an attacker gets who may also take low scores for members, which is what the study's released code gives.
  double auc_folded() const { return std::max(auc, 1 - auc); }
};
/// After leaving out scores that are no numbers there must be members and non-members.
AttackMetrics summarise_attack(std::span<const double> members, std::span<const double> non_members, std::uint64_t seed,
                               const ScoreDocuments& documents = {});

}  // namespace expunge
