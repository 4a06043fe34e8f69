// evaluations.h5, which --eval-steps makes, as the report reads it.
#pragma once

#include <optional>
#include <string>

#include "report/run_facts.h"

namespace expunge {

/// What stands in for evaluations of the model that a run began from and of the run's own.
struct InRunEnds {
  std::optional<ReportEvaluation> before, after;
  std::string lacking;  ///< why the table does not stand in although it is there; empty where it does
};

/// Reads the run's table into it, and what became of its --stop-at. Nothing stands in where a part of the sequences was
/// evaluated. Throws Error(bad_input).
InRunEnds read_in_run_evaluations(ReportRun& run);

}  // namespace expunge
