// `expunge train`.
#pragma once

#include "commands/run_command.h"
#include "run/options.h"

namespace expunge {

/// The table refers to `config`, which must outlive it and stay in place.
OptionTable train_options(RunOptions& config);
Command train_command();

}  // namespace expunge
