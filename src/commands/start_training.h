// The common parts of `expunge train` and `expunge unlearn`.
#pragma once

#include "cli/option_table.h"
#include "run/options.h"

namespace expunge {

/// Checks options that depend on each other, and completes them. Throws Error(usage).
void check_training(RunOptions& config, const OptionTable& given);
/// Completes the options that depend on the number of ranks, unless given: global batch G = world x per-device batch x
/// accumulation, and the run folder. Writes config.resolved. Throws Error(usage) if G and the accumulation were both given and
/// do not agree.
void resolve(RunOptions& config, int world_size);
/// Starts a run with the options that `given` parsed.
int start_training(RunOptions& config, const OptionTable& given);

}  // namespace expunge
