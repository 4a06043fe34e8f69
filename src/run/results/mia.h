// mia.h5: scores and rates of membership inference, written and read.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "eval/roc.h"
#include "io/files.h"
#include "run/results/eval.h"

namespace expunge {

/// What was attacked; attributes of the file's root, beside those of EvaluationSource.
struct MembershipSource {
  EvaluationSource evaluation;
  std::string members, non_members;                     ///< "domain/split"
  std::string reference_model, reference_model_sha256;  ///< left out when empty
  std::uint64_t seed;
  std::string resampled_by = "sequence";                                   ///< for the intervals: "document" or "sequence"
  std::uint64_t members_on_both_sides = 0, non_members_on_both_sides = 0;  ///< sequences that are left out
  std::vector<std::uint64_t> sequences = {};  ///< of each score the number of its sequence within its split
};

struct AttackResult {
  std::string name;
  std::vector<double> members, non_members;  ///< scores in the order of the splits; not a number: left out
  AttackMetrics figures;
};

/// What to beware of where so few sequences a side were scored; empty where there are enough.
std::string few_sequences(std::size_t members, std::size_t non_members);

/// /label (uint8: members 1, then non-members 0), /sequence (uint64) and /scores/<attack> (float64, NaN where left out) in the
/// same order; for each attack a group /results/<attack> with attributes auc, auc_low, auc_high, auc_folded, best_accuracy,
/// tpr_at_5, tpr_at_1, tpr_at_0_1, the last four also with _reversed behind them for low scores taken for members', stronger
/// ("high" or "low": the scores that tell members better), members, non_members, left_out and datasets fpr, tpr. Replaces the
/// file by one rename. Throws Error(output).
void write_membership(const std::filesystem::path& path, Existing existing, const MembershipSource& source,
                      const std::vector<AttackResult>& results);

/// One attack as the file holds it.
struct StoredAttack {
  std::string name;  ///< min_k_30
  double auc, auc_low, auc_high;
  AttackRates high;                ///< members are those that score high
  std::optional<AttackRates> low;  ///< that score low; absent in a file of an earlier version
  bool low_is_stronger = false;
  RocCurve curve;                              ///< of high scores
  std::uint64_t members = 0, non_members = 0;  ///< sequences that were scored; 0 where the file does not say

  /// Those of the scores that tell members better.
  const AttackRates& stronger() const { return low && low_is_stronger ? *low : high; }
};

struct StoredMembership {
  std::string model, model_sha256;  ///< empty where the file does not say
  std::string members, non_members, tokens;
  std::string resampled_by;  ///< for the intervals; empty in a file of an earlier version
  std::uint64_t members_on_both_sides = 0, non_members_on_both_sides = 0;
  std::vector<StoredAttack> attacks;  ///< at least one
};

/// Whether an HDF5 file is one of membership inference.
bool is_membership(const Hdf5File& file);
/// Throws Error(bad_input), also where the file holds no attack.
StoredMembership read_membership(const Hdf5File& file);

}  // namespace expunge
