// A run from its command to its last checkpoint.
#pragma once

#include "expunge/error.h"
#include "run/options.h"
#include "session/session.h"

namespace expunge {

/// `expunge train` and `expunge unlearn`. The batch options must be resolved for the session's world size. Returns
/// ExitCode::done, or ExitCode::interrupted when a signal came: there is a checkpoint then, and the same run goes on from it.
ExitCode run_training(Session& session, const RunOptions& config);

}  // namespace expunge
