// Reading results of membership inference.
#include "report/attacks.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <tuple>

#include "core/text.h"
#include "expunge/error.h"

namespace expunge {
namespace {

double strength(const ReportAttack& attack) { return std::isfinite(attack.auc) ? std::abs(attack.auc - 0.5) : -1; }

bool weaker(const ReportAttack& a, const ReportAttack& b) { return strength(a) < strength(b); }

std::string family(const std::string& name) {
  const auto last = name.find_last_not_of("0123456789");
  return last != std::string::npos && name[last] == '_' ? name.substr(0, last) : name;
}

ReportAttack read_attack(const Hdf5File& file, const std::string& name) {
  const std::string group = "/results/" + name;
  std::string stronger;
  if (file.has_attribute(group, "stronger")) stronger = file.read_attribute<std::string>(group, "stronger");
  if (!stronger.empty() && stronger != "high" && stronger != "low")
    fail(ExitCode::bad_input, fmt::format("{}: {}@stronger: expected high or low, found '{}'; make the file anew",
                                          file.path().string(), group, excerpt(stronger)));
  const auto figure = [&](const char* attribute) { return file.read_attribute<double>(group, attribute); };
  const auto rate = [&](const std::string& attribute) {
    return file.read_attribute<double>(group, attribute + (stronger == "low" ? "_reversed" : ""));
  };
  ReportAttack attack{name,
                      figure("auc"),
                      figure("auc_low"),
                      figure("auc_high"),
                      rate("best_accuracy"),
                      rate("tpr_at_5"),
                      rate("tpr_at_1"),
                      rate("tpr_at_0_1"),
                      file.read_all<double>(group + "/fpr"),
                      file.read_all<double>(group + "/tpr"),
                      stronger};
  for (const auto& [side, count] : {std::pair("members", &attack.members), {"non_members", &attack.non_members}})
    if (file.has_attribute(group, side)) *count = file.read_attribute<std::uint64_t>(group, side);
  if (attack.fpr.size() != attack.tpr.size())
    fail(ExitCode::bad_input, fmt::format("{}: {}: expected fpr and tpr of equal length, found {} and {}", file.path().string(),
                                          group, attack.fpr.size(), attack.tpr.size()));
  return attack;
}

}  // namespace

const ReportAttack& ReportAttacks::strongest() const { return *std::max_element(attacks.begin(), attacks.end(), weaker); }

std::vector<const ReportAttack*> ReportAttacks::strongest_by_family() const {
  std::map<std::string, const ReportAttack*> best;
  for (const ReportAttack& attack : attacks) {
    if (attack.name == "min_k_100") continue;  // all log-probabilities: the scores of `loss`
    const auto [place, added] = best.try_emplace(family(attack.name), &attack);
    if (!added && weaker(*place->second, attack)) place->second = &attack;
  }
  std::vector<const ReportAttack*> chosen;
  for (const auto& [name, attack] : best) chosen.push_back(attack);
  return chosen;
}

std::string ReportAttacks::sampling() const {
  std::string text = fmt::format("Intervals are resampled by {}.", resampled_by);
  if (members_on_both_sides + non_members_on_both_sides > 0)
    text += fmt::format(" Sequences that stand on both sides are left out: {} of the members, {} of the non-members.",
                        members_on_both_sides, non_members_on_both_sides);
  return text;
}

bool holds_attacks(const Hdf5File& file) { return file.exists("/results"); }

ReportAttacks read_attacks(const Hdf5File& file) {
  ReportAttacks result{
      .path = file.path(), .model = {}, .model_sha256 = {}, .conditions = membership_conditions(file), .attacks = {}};
  if (file.has_attribute("/", "model")) result.model = file.read_attribute<std::string>("/", "model");
  if (file.has_attribute("/", "model_sha256")) result.model_sha256 = file.read_attribute<std::string>("/", "model_sha256");
  if (file.has_attribute("/", "resampled_by")) {
    result.resampled_by = file.read_attribute<std::string>("/", "resampled_by");
    result.members_on_both_sides = file.read_attribute<std::uint64_t>("/", "members_on_both_sides");
    result.non_members_on_both_sides = file.read_attribute<std::uint64_t>("/", "non_members_on_both_sides");
  }
  if (file.exists("/results"))
    for (const std::string& name : file.children("/results")) result.attacks.push_back(read_attack(file, name));
  if (result.attacks.empty())
    fail(ExitCode::bad_input,
         fmt::format("{}: expected results of `expunge mia` under /results, found none", file.path().string()));
  // min_k_100 after min_k_30: by family, then by the number, which is longer where it is larger.
  std::ranges::sort(result.attacks, {}, [](const ReportAttack& attack) {
    return std::tuple(family(attack.name), attack.name.size(), attack.name);
  });
  return result;
}

}  // namespace expunge
