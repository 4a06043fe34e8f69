// A run whose steps were timed, for a plan of others.
#pragma once

#include <algorithm>
#include <cstdint>
#include <filesystem>

#include "expunge/objective.h"
#include "plan/cost.h"
#include "plan/memory.h"
#include "training/run_length.h"

namespace expunge {

/// The share of sequences that pass through the frozen model.
double frozen_share(const MethodOptions& method, double positive_ratio);

/// Micro-batches of a run, as its options cut them.
struct BatchOptions {
  std::int64_t length, packed, batch, global_batch;

  int tokens() const { return largest_micro_batch(length, packed, batch, global_batch); }
  /// Sequences in a micro-batch.
  int sequences() const {
    const std::int64_t together = packed > 0 ? std::max<std::int64_t>(1, packed / length) : batch;
    return static_cast<int>(std::min(together, global_batch));
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
