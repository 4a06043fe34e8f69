// --log-jsonl: one JSON object a line: of an optimizer step, or of an evaluation between steps.
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

/// Keys are the columns of metrics.h5, or `step` and the names of an evaluation's figures, and `run`, by which a run knows its
/// lines; what is not a finite number is null.
/// A line is flushed when its step is done.
class JsonlLog {
 public:
  /// Opens or creates it, makes the folders above it, and drops the lines past step `last_step`, and one that a kill tore.
  /// Throws Error(output) for a file that holds anything else, or another run's lines: it is not overwritten.
  JsonlLog(const std::filesystem::path& path, std::int64_t last_step, std::string run);
  /// Throws so, and changes nothing. Runs of versions that named none have the empty name.
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
