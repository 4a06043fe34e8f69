// An unlearning method: host arithmetic from per-token signals to a loss and its gradient. Knows no device and no rank.
#pragma once

#include <memory>
#include <string_view>
#include <vector>

#include "expunge/core/signal.h"

namespace expunge {

/// A part of the loss: a signal of the sequences of one role.
struct Term {
  Role role;
  Signal signal;
};

class Objective {
 public:
  virtual ~Objective() = default;
  virtual std::vector<Term> terms() const = 0;
  /// dL/dsignal of each target in a sequence of `targets` targets. It is known before the forward pass, so that logits are
  /// scored and differentiated in one pass; the loss is the sum of weight times signal.
  virtual double constant_weight(const Term& term, double targets, const Scope& scope) const = 0;
};

/// The objective of a --method; throws Error(usage) that lists the methods for an unknown name.
std::unique_ptr<Objective> make_objective(std::string_view method);
/// Names that --method takes.
std::vector<std::string_view> method_names();
/// Plain descent, what `expunge train` minimises: the mean over sequences of a sequence's mean nll.
std::unique_ptr<Objective> make_descent();

}  // namespace expunge
