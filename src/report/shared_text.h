// The part of a report that says which text splits share.
#pragma once

#include <vector>

#include "report/document.h"
#include "report/run_facts.h"

namespace expunge {

/// What the splits that the run trained on, is judged by or has in its domain share with one another, with other splits and
/// with themselves.
void add_shared_text(const ReportRun& run, std::vector<Block>& blocks);

}  // namespace expunge
