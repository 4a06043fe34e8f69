// Reads and writes mia.h5.
#include "run/results/mia.h"

#include <fmt/format.h>

#include "core/text.h"
#include "expunge/error.h"
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

/// Visits the rates of one direction with the names of their attributes.
template <typename Rates, typename Visit>
void for_each_rate(Rates& rates, const std::string& direction, Visit visit) {
  visit("best_accuracy" + direction, rates.best_accuracy);
  visit("tpr_at_5" + direction, rates.tpr_at_5);
  visit("tpr_at_1" + direction, rates.tpr_at_1);
  visit("tpr_at_0_1" + direction, rates.tpr_at_0_1);
}

constexpr const char* kReversed = "_reversed";  // of low scores

void write_rates(Hdf5File& file, const std::string& group, const AttackRates& rates, const std::string& direction) {
  for_each_rate(rates, direction, [&](const std::string& name, double rate) { file.write_attribute(group, name, rate); });
}

AttackRates read_rates(const Hdf5File& file, const std::string& group, const std::string& direction) {
  AttackRates rates{};
  for_each_rate(rates, direction,
                [&](const std::string& name, double& rate) { rate = file.read_attribute<double>(group, name); });
  return rates;
}

void write_metrics(Hdf5File& file, const std::string& group, const AttackMetrics& metrics) {
  file.create_group(group);
  file.write_attribute(group, "auc", metrics.auc);
  file.write_attribute(group, "auc_low", metrics.auc_low);
  file.write_attribute(group, "auc_high", metrics.auc_high);
  file.write_attribute(group, "auc_folded", metrics.auc_folded());
  write_rates(file, group, metrics.high, "");
  write_rates(file, group, metrics.low, kReversed);
  file.write_attribute(group, "stronger", std::string(metrics.low_is_stronger() ? "low" : "high"));
  file.write_attribute(group, "members", metrics.members);
  file.write_attribute(group, "non_members", metrics.non_members);
  file.write_attribute(group, "left_out", metrics.left_out);
  write_values(file, group + "/fpr", metrics.curve.fpr);
  write_values(file, group + "/tpr", metrics.curve.tpr);
}

std::string read_text(const Hdf5File& file, const std::string& object, const char* name) {
  return file.has_attribute(object, name) ? file.read_attribute<std::string>(object, name) : std::string();
}

StoredAttack read_attack(const Hdf5File& file, const std::string& name) {
  const std::string group = "/results/" + name, stronger = read_text(file, group, "stronger");
  if (!stronger.empty() && stronger != "high" && stronger != "low")
    fail(ExitCode::bad_input, fmt::format("{}: {}@stronger: expected high or low, found '{}'; make the file again",
                                          file.path().string(), group, excerpt(stronger)));
  const auto number = [&](const char* attribute) { return file.read_attribute<double>(group, attribute); };
  StoredAttack attack{.name = name,
                      .auc = number("auc"),
                      .auc_low = number("auc_low"),
                      .auc_high = number("auc_high"),
                      .high = read_rates(file, group, ""),
                      .low = {},
                      .low_is_stronger = stronger == "low",
                      .curve = {file.read_all<double>(group + "/fpr"), file.read_all<double>(group + "/tpr")}};
  if (!stronger.empty()) attack.low = read_rates(file, group, kReversed);
  for (const auto& [side, count] : {std::pair("members", &attack.members), {"non_members", &attack.non_members}})
    if (file.has_attribute(group, side)) *count = file.read_attribute<std::uint64_t>(group, side);
  if (attack.curve.fpr.size() != attack.curve.tpr.size())
    fail(ExitCode::bad_input, fmt::format("{}: {}: expected fpr and tpr of equal length, found {} and {}", file.path().string(),
                                          group, attack.curve.fpr.size(), attack.curve.tpr.size()));
  return attack;
}

}  // namespace

bool is_membership(const Hdf5File& file) { return file.exists("/results"); }

StoredMembership read_membership(const Hdf5File& file) {
  StoredMembership stored{.model = read_text(file, "/", "model"),
                          .model_sha256 = read_text(file, "/", "model_sha256"),
                          .members = read_text(file, "/", "members"),
                          .non_members = read_text(file, "/", "non_members"),
                          .tokens = read_text(file, "/", "tokens"),
                          .resampled_by = read_text(file, "/", "resampled_by"),
                          .attacks = {}};
  if (!stored.resampled_by.empty()) {
    stored.members_on_both_sides = file.read_attribute<std::uint64_t>("/", "members_on_both_sides");
    stored.non_members_on_both_sides = file.read_attribute<std::uint64_t>("/", "non_members_on_both_sides");
  }
  if (is_membership(file))
    for (const std::string& name : file.children("/results")) stored.attacks.push_back(read_attack(file, name));
  if (stored.attacks.empty())
    fail(ExitCode::bad_input,
         fmt::format("{}: expected results of `expunge mia` under /results, found none", file.path().string()));
  return stored;
}

// For n indistinguishable sequences per side, the 95 % interval of the AUC is 0.5 +- 1.96 / sqrt(6 n). It follows from the
// variance of the Mann-Whitney statistic. From n = 30 on it is narrower than 0.35 to 0.65.
std::string few_sequences(std::size_t members, std::size_t non_members) {
  constexpr std::size_t kFew = 30;
  if (members >= kFew && non_members >= kFew) return {};
  return fmt::format(
      "{} and {}: with fewer than {} per side, chance alone may move an AUC by 0.15 or more, and an interval of 1.000 to 1.000 "
      "proves nothing",
      counted(members, "member"), counted(non_members, "non-member"), kFew);
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
    write_metrics(file, "/results/" + result.name, result.metrics);
  }
  commit_sealed(file, pending);
}

}  // namespace expunge
