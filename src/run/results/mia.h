// mia.h5: scores and figures of membership inference.
#pragma once

#include <cstdint>
#include <filesystem>
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
  AttackFigures figures;
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

}  // namespace expunge
