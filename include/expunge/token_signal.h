// Input of an objective and of a metric: roles, per-token signals, global counts. Host arithmetic only.
#pragma once

#include <cstdint>
#include <limits>
#include <span>

namespace expunge {

/// Whether a sequence is to be forgotten or retained.
enum class Role : std::uint8_t { forget, retain };

/// A per-token scalar that a kernel pair (forward, backward) computes from the model's output at a position. p is the
/// model's next-token distribution there. The target is a constant: no gradient flows into it.
struct Signal {
  enum class Kind : std::uint8_t {
    nll,            ///< -log p(label)
    cross_entropy,  ///< -sum_v q_v log(p_v + epsilon) with q = softmax(target logits - label_shift at the label)
    divergence,     ///< KL(q || p): the cross-entropy less q's entropy; the same gradient
    distance,       ///< mean square distance of block `layer`'s output from the target's
  };
  enum class Target : std::uint8_t {
    none,
    reference,  ///< the reference model
    own,        ///< the model itself
    control     ///< one vector for all positions: of length `control_norm` in a random direction of the positive orthant
  };
  Kind kind = Kind::nll;
  Target target = Target::none;
  double label_shift = 0;  ///< infinity removes the label
  double epsilon = 0;
  bool every_position = false;  ///< positions without a label count too
  int layer = 0;
  double control_norm = 0;

  bool uses_reference() const { return target == Target::reference; }
};

inline constexpr double kWholeLabel = std::numeric_limits<double>::infinity();

/// The signals of one sequence at the positions that count, in order.
struct SequenceSignals {
  Role role;
  std::span<const double> model;  ///< (n)
  double reference_nll = 0;       ///< sum of nll under the reference model, where the objective asks for it
};

/// Counts of one role in an optimizer step, over all ranks and micro-batches.
struct RoleCount {
  double tokens = 0;  ///< targets
  double sequences = 0;
};

/// Global counts of an optimizer step: losses are normalised once, by these counts.
struct Scope {
  RoleCount forget, retain;
  double sequences = 0;  ///< divisor of a mean over the step's sequences
  const RoleCount& of(Role role) const { return role == Role::forget ? forget : retain; }
};

}  // namespace expunge
