// --log-jsonl: one JSON object per line, for an optimizer step or an evaluation.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "io/files.h"
#include "io/json.h"
#include "run/metric_columns.h"
#include "run/results/evaluations.h"
#include "run/step_metrics.h"

namespace expunge {

/// Keys are the columns of metrics.h5, or `step` and the names of an evaluation's metrics, and `run`, the identifier of the
/// run. Numbers that are not finite are null. A line is flushed when its step is done.
class JsonlLog {
 public:
  /// Opens or creates the file and the folders above it. Drops the lines past step `last_step` and a line that a kill tore.
  /// Throws Error(output) for a file that holds anything else, or another run's lines, and leaves it unchanged.
  JsonlLog(const std::filesystem::path& path, std::int64_t last_step, std::string run);
  /// Throws the same errors, and changes nothing. Runs of earlier versions have an empty identifier.
  static void check(const std::filesystem::path& path, const std::string& run);
  void append(const StepMetrics& metrics);
  void append(std::int64_t step, const NamedMetrics& metrics);

 private:
  void name_run(nlohmann::ordered_json& row) const;
  void write(const std::string& line);

  std::filesystem::path path_;
  std::string run_;
  std::optional<AppendFile> file_;
};

}  // namespace expunge
