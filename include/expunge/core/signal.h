// What an objective and a metric see of a batch: roles, per-token signals, global counts. Host arithmetic only.
#pragma once

#include <cstdint>
#include <span>

namespace expunge {

/// What a sequence is trained for.
enum class Role : std::uint8_t { forget, retain };

/// A per-token scalar that a kernel pair (forward, backward) makes from the model's output.
enum class Signal { nll };

/// The signals of one sequence's targets, in order, and where its gradient goes.
struct SequenceSignals {
  Role role;
  std::span<const double> model;  ///< (n targets)
};

/// How much one role holds in a whole optimizer step, over all ranks and micro-batches.
struct RoleCount {
  double tokens = 0;     ///< targets
  double sequences = 0;
};

/// Global counts of an optimizer step: losses are normalised once, by these.
struct Scope {
  RoleCount forget, retain;
  double sequences() const { return forget.sequences + retain.sequences; }
};

}  // namespace expunge
