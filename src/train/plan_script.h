// The batch script of a planned run.
#pragma once

#include <string>

#include "expunge/train/config.h"
#include "expunge/train/policies.h"

namespace expunge {

/// A script for sbatch that runs expunge as planned: `seconds` is the estimate of the whole run.
std::string batch_script(const PlanConfig& config, const RunShape& shape, const Policies& policies, double seconds);

}  // namespace expunge
