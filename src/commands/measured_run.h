// A run whose steps were timed, for a plan of others.
#pragma once

#include <algorithm>
#include <cstdint>
#include <filesystem>

#include "expunge/objective.h"
#include "plan/cost.h"
#include "plan/memory.h"
#include "run/options.h"
#include "training/run_length.h"

namespace expunge {

/// The share of sequences that pass through the reference model.
double reference_share(const MethodOptions& method, double positive_ratio);

/// Micro-batches of sequences that are all equally long.
struct MicroBatch {
  std::int64_t length;
  BatchOptions options;

  int tokens() const { return largest_micro_batch(options, length); }
  /// Sequences in a micro-batch.
  int sequences() const {
    const std::int64_t packed = options.micro_batch_tokens;
    const std::int64_t together = packed > 0 ? std::max<std::int64_t>(1, packed / length) : options.per_device;
    return static_cast<int>(std::min(together, options.global));
  }
};

/// A run whose steps were timed, as the plan sees it.
struct TimedRun {
  RunShape shape;
  Policies policies;
  StepShape step;
  double seconds;  ///< median of its steps but the first
};

/// Reads what a run folder says of its steps. Throws Error(bad_input).
TimedRun read_timed_run(const std::filesystem::path& folder);

}  // namespace expunge
