// Tasks in the report.
#pragma once

#include <filesystem>

#include "report/origin.h"
#include "run/conditions.h"
#include "run/results/task.h"

namespace expunge {

/// A task.h5 of a run.
struct ReportTasks : StoredTasks {
  std::filesystem::path path;
  Conditions conditions;
  ResultOrigin origin = {};
};

}  // namespace expunge
