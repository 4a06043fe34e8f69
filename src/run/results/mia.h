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

/// The attacked splits; root attributes of the file, besides those of EvaluationSource.
struct MembershipSource {
  EvaluationSource evaluation;
  std::string members, non_members;                     ///< "domain/split"
  std::string reference_model, reference_model_sha256;  ///< left out if empty
  std::uint64_t seed;
  std::string resampled_by = "sequence";                                   ///< unit of the intervals: "document" or "sequence"
  std::uint64_t members_on_both_sides = 0, non_members_on_both_sides = 0;  ///< sequences that are left out
  std::vector<std::uint64_t> sequences = {};  ///< for each score, the number of its sequence within its split
};

struct AttackResult {
  std::string name;
  std::vector<double> members, non_members;  ///< scores in the order of the splits; NaN: left out
  AttackMetrics metrics;
};

/// A warning if too few sequences per side were scored; empty if there are enough.
std::string few_sequences(std::size_t members, std::size_t non_members);

/// Writes /label (uint8: members 1, then non-members 0), /sequence (uint64) and /scores/<attack> (float64, NaN if left out) in
/// the same order. For each attack it writes a group /results/<attack> with attributes auc, auc_low, auc_high, auc_folded,
/// best_accuracy, tpr_at_5, tpr_at_1, tpr_at_0_1; the last four also with the suffix _reversed, for low scores as a sign of
/// members; stronger ("high" or "low": the scores that separate better), members, non_members, left_out; and datasets fpr,
/// tpr. Replaces the file by one rename. Throws Error(output).
void write_membership(const std::filesystem::path& path, Existing existing, const MembershipSource& source,
                      const std::vector<AttackResult>& results);

/// One attack as stored in the file.
struct StoredAttack {
  std::string name;  ///< min_k_30
  double auc, auc_low, auc_high;
  AttackRates high;                ///< rates if high scores mean members
  std::optional<AttackRates> low;  ///< rates if low scores mean members; absent in a file of an earlier version
  bool low_is_stronger = false;
  RocCurve curve;                              ///< of high scores
  std::uint64_t members = 0, non_members = 0;  ///< scored sequences; 0 if not recorded

  /// The rates of the direction that separates better.
  const AttackRates& stronger() const { return low && low_is_stronger ? *low : high; }
};

struct StoredMembership {
  std::string model, model_sha256;  ///< empty if not recorded
  std::string members, non_members, tokens;
  std::string resampled_by;  ///< unit of the intervals; empty in a file of an earlier version
  std::uint64_t members_on_both_sides = 0, non_members_on_both_sides = 0;
  std::vector<StoredAttack> attacks;  ///< at least one
};

/// True for a file of `expunge mia`.
bool is_membership(const Hdf5File& file);
/// Reads such a file. Throws Error(bad_input), also if it holds no attack.
StoredMembership read_membership(const Hdf5File& file);

}  // namespace expunge
