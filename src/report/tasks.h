// task.h5 as the report reads it.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "io/hdf5.h"
#include "report/origin.h"
#include "run/conditions.h"

namespace expunge {

/// A figure is not a number where the task has none of its kind.
struct ReportTask {
  std::string name;
  double items;
  double accuracy, accuracy_error, normalised, normalised_error, exact_match, exact_match_error;  ///< shares, standard errors
};

struct ReportTasks {
  std::filesystem::path path;
  std::string model, model_sha256;
  Conditions conditions;
  std::vector<ReportTask> tasks;
  FigureOrigin origin = {};
};

/// Whether an HDF5 file is one of `expunge task`.
bool holds_tasks(const Hdf5File& file);
/// Throws Error(bad_input).
ReportTasks read_tasks(const Hdf5File& file);

}  // namespace expunge
