// A run with timed steps, as a base for plans of other runs.
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

/// The share of a step's sequences that pass through the reference model.
double reference_share(const MethodOptions& method, double positive_ratio);

/// Micro-batches of sequences of equal length.
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

/// A run with timed steps, in the terms of a plan.
struct TimedRun {
  RunShape shape;
  Policies policies;
  StepShape step;
  double seconds;  ///< median over its steps without the first
};

/// Reads a timed run from its folder. Throws Error(bad_input).
TimedRun read_timed_run(const std::filesystem::path& folder);

}  // namespace expunge
