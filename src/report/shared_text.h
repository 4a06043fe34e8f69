// The part of a report on text that splits share.
#pragma once

#include <vector>

#include "report/document.h"
#include "report/run_facts.h"

namespace expunge {

/// Adds the text that splits share, for the splits that the run trained on, has results of, or has in its domain.
void add_shared_text(const ReportRun& run, std::vector<Block>& blocks);

}  // namespace expunge
