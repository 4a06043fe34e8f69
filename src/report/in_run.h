// evaluations.h5, written with --eval-steps, in the report.
#pragma once

#include <optional>
#include <string>

#include "report/run_facts.h"

namespace expunge {

/// Replacements for evaluations of the model that a run began from, and of the run's own model.
struct InRunEnds {
  std::optional<ReportEvaluation> before, after;
  std::string lacking;  ///< why an existing table is no replacement; empty if it is one
};

/// Reads the run's table into it, and the result of its --stop-at. A table over a part of the sequences replaces nothing.
/// Throws Error(bad_input).
InRunEnds read_in_run_evaluations(ReportRun& run);

}  // namespace expunge
