// Reading results of tasks.
#include "report/tasks.h"

#include <fmt/format.h>

#include <limits>

#include "expunge/error.h"

namespace expunge {

bool holds_tasks(const Hdf5File& file) { return file.has_attribute("/", "tasks_sha256"); }

ReportTasks read_tasks(const Hdf5File& file) {
  ReportTasks result{file.path(),
                     file.read_attribute<std::string>("/", "model"),
                     file.read_attribute<std::string>("/", "model_sha256"),
                     task_conditions(file),
                     {}};
  for (const std::string& name : file.children("/")) {
    const auto figure = [&, group = "/" + name](const char* attribute) {
      return file.has_attribute(group, attribute) ? file.read_attribute<double>(group, attribute)
                                                  : std::numeric_limits<double>::quiet_NaN();
    };
    const bool generated = file.has_attribute("/" + name, "exact_match");
    const double error = figure("standard_error"), none = std::numeric_limits<double>::quiet_NaN();
    result.tasks.push_back({name, static_cast<double>(file.read_attribute<std::uint64_t>("/" + name, "items")),
                            figure("accuracy"), generated ? none : error, figure("accuracy_normalised"),
                            figure("standard_error_normalised"), figure("exact_match"), generated ? error : none});
  }
  if (result.tasks.empty())
    fail(ExitCode::bad_input, fmt::format("{}: expected results of `expunge task`, found none", file.path().string()));
  return result;
}

}  // namespace expunge
