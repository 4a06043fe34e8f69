// --log-jsonl: one JSON object a line: of an optimizer step, or of an evaluation between steps.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <vector>

#include "expunge/io/files.h"
#include "expunge/train/metrics_file.h"
#include "train/metric_columns.h"

namespace expunge {

/// Keys are the columns of metrics.h5, or `step` and the names of an evaluation's figures; what is not a finite number is null.
/// A line is flushed when its step is done.
class JsonlLog {
 public:
  /// Opens or creates it, makes the folders above it, and drops the lines past step `last_step`, and one that a kill tore.
  /// Throws Error(output) for a file that holds anything else: it is not overwritten.
  JsonlLog(const std::filesystem::path& path, std::int64_t last_step);
  void append(const StepMetrics& metrics);
  void append(std::int64_t step, const NamedFigures& figures);

 private:
  void write(const std::string& line);

  std::filesystem::path path_;
  std::optional<AppendFile> file_;
};

}  // namespace expunge
