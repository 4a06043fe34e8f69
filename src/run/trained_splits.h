// What a run trains on, from its options: the objective, and the splits with their roles.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "expunge/objective.h"
#include "run/options.h"

namespace expunge {

/// The objective of a run; null for a method that this version does not know. `max_length` as in MethodContext.
std::unique_ptr<Objective> objective_of(const RunOptions& options, double max_length = 0);

struct RoleSplit {
  std::string split;  ///< "domain/split"
  Role role;
};
/// The splits that the run trains on: those that `expunge train` names, or one per term of the objective.
std::vector<RoleSplit> trained_splits(const RunOptions& options, const Objective& objective);

}  // namespace expunge
