// --tensorboard: writes event files for TensorBoard.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "io/files.h"
#include "run/metric_columns.h"
#include "run/results/evaluations.h"
#include "run/step_metrics.h"

namespace expunge {

// An event file is a sequence of TFRecords, each holding one message `Event` of TensorFlow's event.proto:
//   record:  uint64 length | uint32 masked CRC-32C of the length | data | uint32 masked CRC-32C of the data, little-endian
//   Event:   1 wall_time (double) | 2 step (int64) | 3 file_version (string) | 5 summary | 7 session_log
//   Summary: 1 value (repeated): 1 tag (string) | 2 simple_value (float)      SessionLog: 1 status (enum, START = 1)

/// The record that frames `data`.
std::string tf_record(std::string_view data);
/// Event messages.
std::string version_event(double wall_time);
/// Makes TensorBoard drop what other files of the folder hold of `step` and later steps.
std::string start_event(double wall_time, std::int64_t step);
std::string scalar_event(double wall_time, std::int64_t step, const std::vector<std::pair<std::string, float>>& scalars);

class TensorboardFile {
 public:
  /// Makes a new events.out.tfevents.* in `folder`, for steps after `last_step`. Throws Error(output).
  TensorboardFile(const std::filesystem::path& folder, std::int64_t last_step);
  /// True if expunge wrote this file in a folder for TensorBoard.
  static bool is_own(const std::filesystem::path& path);
  /// Writes a scalar train/<column> for each finite metric.
  void append(const StepMetrics& metrics);
  /// Writes a scalar for each finite metric of an evaluation.
  void append(std::int64_t step, const NamedMetrics& metrics);

 private:
  void write(const std::string& event);

  std::filesystem::path path_;
  std::optional<AppendFile> file_;
};

}  // namespace expunge
