// The batch script of a planned run.
#pragma once

#include <string>

#include "plan/memory.h"
#include "plan/options.h"

namespace expunge {

/// A script for sbatch that runs expunge as planned; `seconds` is the estimated time of the whole run.
std::string batch_script(const PlanConfig& config, const RunShape& shape, const Policies& policies, double seconds);

}  // namespace expunge
