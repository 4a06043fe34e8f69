// `expunge plan`: estimates what a run needs.
#pragma once

#include "commands/run_command.h"
#include "plan/options.h"

namespace expunge {

/// The table refers to `config`, which must outlive it at the same address.
OptionTable plan_options(PlanConfig& config);
Command plan_command();

}  // namespace expunge
