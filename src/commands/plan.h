// `expunge plan`: what a run would take.
#pragma once

#include "commands/run_command.h"
#include "plan/options.h"

namespace expunge {

/// The table refers to `config`, which must outlive it and stay in place.
OptionTable plan_options(PlanConfig& config);
Command plan_command();

}  // namespace expunge
