// Which files of figures a report takes for a run, and whose they are.
#pragma once

#include <vector>

#include "report/options.h"
#include "report/run_facts.h"

namespace expunge {

/// Gives each run the files of --before and --after that are of it, those in its folder, and what it evaluated itself. Notes
/// name what is of another model and what is left out. Throws Error(bad_input) for damaged files, Error(usage) for a --before
/// that fits no run.
void attach_results(const ReportConfig& config, std::vector<ReportRun>& runs);

}  // namespace expunge
