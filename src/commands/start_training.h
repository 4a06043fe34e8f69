// What `expunge train` and `expunge unlearn` have in common.
#pragma once

#include "cli/option_table.h"
#include "run/options.h"

namespace expunge {

/// Checks and completes the options over several of them. Throws Error(usage).
void check_training(RunOptions& config, const OptionTable& given);
/// Completes what depends on the number of ranks: global batch G = world x per-device batch x accumulation, unless it was
/// given, the run folder unless it was, and config.resolved. Throws Error(usage) when G and the accumulation were both given
/// and do not agree.
void resolve(RunOptions& config, int world_size);
/// Starts a run whose options `given` parsed.
int start_training(RunOptions& config, const OptionTable& given);

}  // namespace expunge
