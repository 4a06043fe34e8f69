// Attacks as the report tells of them.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "report/origin.h"
#include "run/conditions.h"
#include "run/results/mia.h"

namespace expunge {

/// A mia.h5 of a run.
struct ReportAttacks : StoredMembership {
  std::filesystem::path path;
  Conditions conditions;
  ResultOrigin origin = {};

  /// How the intervals were made, and which sequences were left out, in words.
  std::string sampling() const;
  /// The attack that tells members and non-members apart best: largest |AUC - 1/2|. At least one attack.
  const StoredAttack& strongest() const;
  /// Of each family (name without its trailing number) the strongest, min_k_100 left out, which is `loss`; what one plot can
  /// show.
  std::vector<const StoredAttack*> strongest_by_family() const;
};

/// Throws Error(bad_input).
ReportAttacks read_attacks(const Hdf5File& file);

}  // namespace expunge
