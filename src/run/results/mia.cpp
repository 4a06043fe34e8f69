// The layout of mia.h5.
#include "run/results/mia.h"

#include <fmt/format.h>

#include "io/files.h"
#include "io/hdf5_seal.h"

namespace expunge {
namespace {

void write_root(Hdf5File& file, const MembershipSource& source) {
  write_source(file, source.evaluation);
  file.write_attribute("/", "members", source.members);
  file.write_attribute("/", "non_members", source.non_members);
  file.write_attribute("/", "seed", source.seed);
  file.write_attribute("/", "resampled_by", source.resampled_by);
  file.write_attribute("/", "members_on_both_sides", source.members_on_both_sides);
  file.write_attribute("/", "non_members_on_both_sides", source.non_members_on_both_sides);
  if (source.reference_model.empty()) return;
  file.write_attribute("/", "reference_model", source.reference_model);
  file.write_attribute("/", "reference_model_sha256", source.reference_model_sha256);
}

void write_rates(Hdf5File& file, const std::string& group, const AttackRates& rates, const std::string& direction) {
  file.write_attribute(group, "best_accuracy" + direction, rates.best_accuracy);
  file.write_attribute(group, "tpr_at_5" + direction, rates.tpr_at_5);
  file.write_attribute(group, "tpr_at_1" + direction, rates.tpr_at_1);
  file.write_attribute(group, "tpr_at_0_1" + direction, rates.tpr_at_0_1);
}

void write_figures(Hdf5File& file, const std::string& group, const AttackFigures& figures) {
  file.create_group(group);
  file.write_attribute(group, "auc", figures.auc);
  file.write_attribute(group, "auc_low", figures.auc_low);
  file.write_attribute(group, "auc_high", figures.auc_high);
  file.write_attribute(group, "auc_folded", figures.auc_folded());
  write_rates(file, group, figures.high, "");
  write_rates(file, group, figures.low, "_reversed");
  file.write_attribute(group, "stronger", std::string(figures.low_is_stronger() ? "low" : "high"));
  file.write_attribute(group, "members", figures.members);
  file.write_attribute(group, "non_members", figures.non_members);
  file.write_attribute(group, "left_out", figures.left_out);
  write_values(file, group + "/fpr", figures.curve.fpr);
  write_values(file, group + "/tpr", figures.curve.tpr);
}

}  // namespace

// Of n a side that cannot be told apart the 95 % interval of the AUC is 0.5 +- 1.96 / sqrt(6 n), which from 30 on is narrower
// than 0.35 to 0.65 (the variance of the Mann-Whitney statistic).
std::string few_sequences(std::size_t members, std::size_t non_members) {
  constexpr std::size_t kFew = 30;
  if (members >= kFew && non_members >= kFew) return {};
  return fmt::format(
      "{} member{} and {} non-member{}: with fewer than {} a side chance alone moves an AUC by 0.15 and more, and an "
      "interval of 1.000 to 1.000 proves nothing",
      members, members == 1 ? "" : "s", non_members, non_members == 1 ? "" : "s", kFew);
}

void write_membership(const std::filesystem::path& path, Existing existing, const MembershipSource& source,
                      const std::vector<AttackResult>& results) {
  PendingFile pending(path, existing);
  Hdf5File file = Hdf5File::create(pending.temporary());
  write_root(file, source);
  std::vector<std::uint8_t> label(results.front().members.size(), 1);
  label.resize(label.size() + results.front().non_members.size(), 0);
  write_values(file, "/label", label);
  write_values(file, "/sequence", source.sequences);
  for (const AttackResult& result : results) {
    std::vector<double> scores = result.members;
    scores.insert(scores.end(), result.non_members.begin(), result.non_members.end());
    write_values(file, "/scores/" + result.name, scores);
    write_figures(file, "/results/" + result.name, result.figures);
  }
  commit_sealed(file, pending);
}

}  // namespace expunge
