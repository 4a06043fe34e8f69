// An unlearning method: host arithmetic from per-token signals to a loss and its gradient. Knows no device and no rank.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "expunge/token_signal.h"

namespace expunge {

/// A part of the loss: a signal of the sequences of one role.
struct Term {
  Role role;
  Signal signal;
};

class Objective {
 public:
  virtual ~Objective() = default;
  /// At most one a role.
  virtual std::vector<Term> terms() const = 0;
  /// dL/dsignal of each position that counts in a sequence of `positions` of them, where it is known before the forward
  /// pass: logits are then scored and differentiated in one pass, and the loss is the sum of weight times signal.
  virtual std::optional<double> constant_weight(const Term& term, double positions, const Scope& scope) const = 0;
  /// One sequence's part of the loss; `gradient` (n) = dL/dsignal. For terms without a constant weight.
  virtual double evaluate(const Term& term, const SequenceSignals& sequence, const Scope& scope,
                          std::span<double> gradient) const;
  /// Whether SequenceSignals::reference_nll is read: the program makes it in one pass before the first step.
  virtual bool uses_reference_nll() const { return false; }
};

/// What a method's loss depends on beside the signals; unset: the method's own default.
struct MethodOptions {
  std::string method;
  bool released = false;             ///< as the study's released code computes it, not as its paper says
  double positive_factor = 1;        ///< weight of the retain term in ascent_plus_descent and ascent_plus_kl_divergence
  bool retain_kl = false;            ///< retain term of gamma/alpha methods: KL to the reference model instead of nll
  std::optional<double> gamma = {};  ///< weight of the forget term
  std::optional<double> alpha = {};  ///< weight of the retain term; 0: no retain set is read
  std::optional<double> beta = {}, beta2 = {}, delta = {};
  std::optional<int> layer = {};        ///< rmu: the block whose output is steered, counted from 0
  std::optional<double> steering = {};  ///< rmu: length of the control vector
  double max_length = 0;                ///< of the token file; the released KL term divides by it
};

/// What a method needs, known before its objective is made.
struct MethodInfo {
  std::string_view name;
  std::string_view summary;
  bool replaces_labels = false;                ///< forget sequences are trained on other labels than their ids
  bool mixes = false;                          ///< reads forget and retain, in one interleaved list
  std::vector<std::string_view> options = {};  ///< command-line options that mean something to it
};

/// The objective of a method; throws Error(usage) that lists the methods for an unknown name, or names an option whose value
/// the method cannot use.
std::unique_ptr<Objective> make_objective(const MethodOptions& options);
/// All methods, the study's first; throws like make_objective for an unknown name.
const std::vector<MethodInfo>& methods();
const MethodInfo& method_info(std::string_view name);
/// Plain descent, what `expunge train` minimises: the mean over sequences of a sequence's mean nll.
std::unique_ptr<Objective> make_descent();

}  // namespace expunge
