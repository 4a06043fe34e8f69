// metrics.h5: one row per optimizer step.
#pragma once

#include <filesystem>
#include <span>
#include <vector>

#include "io/columns.h"

namespace expunge {

/// Metrics of one optimizer step, before its update.
struct StepMetrics {
  std::int64_t step;   ///< from 1
  double loss;         ///< the minimised objective, over the whole step
  double loss_forget;  ///< mean over the forget sequences of their mean nll; NaN without any
  double loss_retain;
  double learning_rate;
  double grad_norm;     ///< before clipping
  std::int64_t tokens;  ///< of the step's sequences
  double tokens_per_second;
  std::int64_t memory_bytes;       ///< peak resident memory of the largest rank
  std::int64_t model_state_bytes;  ///< shards of weights, gradients, moments and a reference model of the largest rank
};

/// All rows of such a file. A column that an earlier version did not write is NaN, or 0. Throws Error(bad_input).
std::vector<StepMetrics> read_step_metrics(const Hdf5File& file);

class MetricsFile {
 public:
  /// Opens or creates the file, and drops rows past step `last_step`, because a resumed run repeats those steps. The copy in
  /// `checkpoint`, the resumed one, replaces a damaged file.
  MetricsFile(const std::filesystem::path& path, std::int64_t last_step, const std::filesystem::path& checkpoint = {});
  /// Attributes of the file.
  void annotate(const std::function<void(Hdf5File&)>& change) { columns_.annotate(change); }
  void append(std::span<const StepMetrics> steps);

 private:
  Columns columns_;
};

}  // namespace expunge
