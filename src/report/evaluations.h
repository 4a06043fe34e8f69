// Finds the files of results of each run, and the models that they are of.
#pragma once

#include <vector>

#include "report/options.h"
#include "report/run_facts.h"

namespace expunge {

/// Gives each run its files of --before and --after, the files in its folder, and its own evaluations. Notes name results of
/// other models and results that are left out. Throws Error(bad_input) for damaged files, Error(usage) for a --before that
/// fits no run.
void attach_results(const ReportConfig& config, std::vector<ReportRun>& runs);

}  // namespace expunge
