// Parts that several methods are made of.
#pragma once

#include <memory>
#include <string_view>
#include <utility>
#include <vector>

#include "unlearn/mean_objective.h"

namespace expunge {

inline constexpr Signal kNll{};

inline Signal to_reference(Signal::Kind kind) { return {.kind = kind, .target = Signal::Target::reference}; }

inline std::unique_ptr<Objective> means(std::vector<MeanTerm> terms) {
  return std::make_unique<MeanObjective>(std::move(terms));
}

// Later methods: L = gamma L_forget + alpha L_retain, with open-unlearning's defaults. Forget terms per token are means over
// the forget targets of a step. open-unlearning's means (undial, KL) also include positions without a target; these do not.

inline MethodOption gamma_option(double usual) {
  return {"gamma", MethodOption::Values::at_least_zero, usual, "weight of the forget term"};
}
inline MethodOption alpha_option(double usual) {
  return {"alpha", MethodOption::Values::at_least_zero, usual, "weight of the retain term; 0: no retain set is read"};
}

/// gamma, alpha and retain-loss with their default values, before the method's own options.
inline std::vector<MethodOption> weighted(double gamma, double alpha, std::vector<MethodOption> own = {}) {
  std::vector<MethodOption> all = {gamma_option(gamma),
                                   alpha_option(alpha),
                                   {"retain-loss",
                                    MethodOption::Values::one_of,
                                    0,
                                    "loss on retain: nll, or KL to the reference model",
                                    {"nll", "kl"},
                                    true}};
  all.insert(all.end(), own.begin(), own.end());
  return all;
}

/// alpha x the chosen retain term, a mean over the retain targets of a step: the nll, or KL(p_reference || p). Empty if alpha
/// is 0.
inline std::vector<MeanTerm> retain_terms(const MethodValues& o) {
  if (o["alpha"] == 0) return {};
  const Signal signal = o.is("retain-loss", "kl") ? to_reference(Signal::Kind::divergence) : kNll;
  return {{{Role::retain, signal}, o["alpha"], MeanTerm::Over::tokens}};
}

inline std::unique_ptr<Objective> with_retain(MeanTerm forget, const MethodValues& o) {
  std::vector<MeanTerm> terms = retain_terms(o);
  terms.push_back(forget);
  return means(std::move(terms));
}

}  // namespace expunge
