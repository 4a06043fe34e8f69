// A run from its command to its last checkpoint.
#pragma once

#include "expunge/error.h"
#include "run/options.h"
#include "session/session.h"

namespace expunge {

/// Runs `expunge train` or `expunge unlearn`. The batch options must be resolved for the session's world size. Returns
/// ExitCode::done, or ExitCode::interrupted after an early end; the same command then continues from a checkpoint.
ExitCode run_training(Session& session, const RunOptions& config);

}  // namespace expunge
