// mia.h5 as the report reads it.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "io/hdf5.h"
#include "report/origin.h"
#include "run/conditions.h"

namespace expunge {

struct ReportAttack {
  std::string name;  ///< min_k_30
  double auc, auc_low, auc_high, best_accuracy, tpr_at_5, tpr_at_1, tpr_at_0_1;
  std::vector<double> fpr, tpr;  ///< the ROC curve
  /// "high" or "low": the scores that tell members better, whose accuracy and rates stand here. Empty where the file is of an
  /// earlier version: they are those of high scores then.
  std::string stronger = {};
  std::uint64_t members = 0, non_members = 0;  ///< sequences that were scored; 0 where the file does not say
};

struct ReportAttacks {
  std::filesystem::path path;
  std::string model, model_sha256;  ///< empty where the file does not say
  Conditions conditions;
  std::vector<ReportAttack> attacks;
  std::string resampled_by = "sequence";  ///< for the intervals
  std::uint64_t members_on_both_sides = 0, non_members_on_both_sides = 0;
  FigureOrigin origin = {};

  /// How the intervals were made, and which sequences were left out, in words.
  std::string sampling() const;
  /// The attack that tells members and non-members apart best: largest |AUC - 1/2|. At least one attack.
  const ReportAttack& strongest() const;
  /// Of each family (name without its trailing number) the strongest, min_k_100 left out, which is `loss`; what one plot can
  /// show.
  std::vector<const ReportAttack*> strongest_by_family() const;
};

/// Whether an HDF5 file is one of membership inference rather than of evaluation.
bool holds_attacks(const Hdf5File& file);
/// Throws Error(bad_input).
ReportAttacks read_attacks(const Hdf5File& file);

}  // namespace expunge
