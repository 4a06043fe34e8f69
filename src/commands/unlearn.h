// `expunge unlearn`.
#pragma once

#include "commands/run_command.h"
#include "run/options.h"

namespace expunge {

/// The table refers to `config`, which must outlive it at the same address.
OptionTable unlearn_options(RunOptions& config);
Command unlearn_command();

}  // namespace expunge
