// Reads, sorts and selects attacks.
#include "report/attacks.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <tuple>

namespace expunge {
namespace {

double strength(const StoredAttack& attack) { return std::isfinite(attack.auc) ? std::abs(attack.auc - 0.5) : -1; }

bool weaker(const StoredAttack& a, const StoredAttack& b) { return strength(a) < strength(b); }

std::string family(const std::string& name) {
  const auto last = name.find_last_not_of("0123456789");
  return last != std::string::npos && name[last] == '_' ? name.substr(0, last) : name;
}

}  // namespace

const StoredAttack& ReportAttacks::strongest() const { return *std::max_element(attacks.begin(), attacks.end(), weaker); }

std::vector<const StoredAttack*> ReportAttacks::strongest_by_family() const {
  std::map<std::string, const StoredAttack*> best;
  for (const StoredAttack& attack : attacks) {
    if (attack.name == "min_k_100") continue;  // all log-probabilities: the scores of `loss`
    const auto [place, added] = best.try_emplace(family(attack.name), &attack);
    if (!added && weaker(*place->second, attack)) place->second = &attack;
  }
  std::vector<const StoredAttack*> chosen;
  for (const auto& [name, attack] : best) chosen.push_back(attack);
  return chosen;
}

std::string ReportAttacks::sampling() const {
  std::string text = fmt::format("Intervals are resampled by {}.", resampled_by);
  if (members_on_both_sides + non_members_on_both_sides > 0)
    text += fmt::format(" Sequences on both sides are left out: {} of the members, {} of the non-members.",
                        members_on_both_sides, non_members_on_both_sides);
  return text;
}

ReportAttacks read_attacks(const Hdf5File& file) {
  ReportAttacks result{read_membership(file), file.path(), membership_conditions(file)};
  if (result.resampled_by.empty()) result.resampled_by = "sequence";  // the rule of versions that did not record it
  // min_k_100 after min_k_30: sort by family, then by the number, whose text is longer if it is larger.
  std::ranges::sort(result.attacks, {}, [](const StoredAttack& attack) {
    return std::tuple(family(attack.name), attack.name.size(), attack.name);
  });
  return result;
}

}  // namespace expunge
