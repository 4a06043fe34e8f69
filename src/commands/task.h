// `expunge task`.
#pragma once

#include "commands/run_command.h"
#include "inference/options.h"

namespace expunge {

/// The table refers to `config`, which must outlive it at the same address.
OptionTable task_options(TaskConfig& config);
Command task_command();

}  // namespace expunge
