// Attacks in the report.
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

  /// Describes how the intervals were made, and the sequences that were left out.
  std::string sampling() const;
  /// The attack that separates members and non-members best: largest |AUC - 1/2|. Needs at least one attack.
  const StoredAttack& strongest() const;
  /// The strongest attack of each family (name without its trailing number), as many as one plot can show. Without min_k_100,
  /// which equals `loss`.
  std::vector<const StoredAttack*> strongest_by_family() const;
};

/// Reads a mia.h5. Throws Error(bad_input).
ReportAttacks read_attacks(const Hdf5File& file);

}  // namespace expunge
