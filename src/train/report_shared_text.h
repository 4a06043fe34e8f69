// The part of a report that says which text splits share.
#pragma once

#include <vector>

#include "train/report_document.h"
#include "train/report_run.h"

namespace expunge {

/// What the splits of the run's domain share with one another, with other splits and with themselves.
void add_shared_text(const ReportRun& run, std::vector<Block>& blocks);

}  // namespace expunge
