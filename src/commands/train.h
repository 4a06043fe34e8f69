// `expunge train`.
#pragma once

#include "commands/run_command.h"
#include "run/options.h"

namespace expunge {

/// The table refers to `config`, which must outlive it at the same address.
OptionTable train_options(RunOptions& config);
Command train_command();

}  // namespace expunge
