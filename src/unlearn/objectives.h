// The shapes that methods' losses have: weighted means of a signal, preference losses, token-weighted losses.
#pragma once

#include <cmath>
#include <numeric>
#include <vector>

#include "expunge/objective.h"

namespace expunge {

/// factor x a mean of a signal over a role.
struct MeanTerm {
  enum class Over : std::uint8_t {
    sequences,      ///< mean over the step's sequences of a sequence's mean
    own_sequences,  ///< mean over the role's sequences of a sequence's mean
    tokens,         ///< mean over all the role's tokens
    fixed_length    ///< mean over the step's sequences of a sequence's sum / `length`
  };
  Term term;
  double factor;
  Over over;
  double length = 0;

  double weight(double positions, const Scope& scope) const {
    switch (over) {
      case Over::sequences:
        return factor / (positions * scope.sequences);
      case Over::own_sequences:
        return factor / (positions * scope.of(term.role).sequences);
      case Over::tokens:
        return factor / scope.of(term.role).tokens;
      case Over::fixed_length:
        return factor / (length * scope.sequences);
    }
    return 0;
  }
};

/// A sum of mean terms; the forget term may be replaced by a loss of its own in a class below.
class MeanObjective : public Objective {
 public:
  explicit MeanObjective(std::vector<MeanTerm> means) : means_(std::move(means)) {}
  std::vector<Term> terms() const override {
    std::vector<Term> terms;
    for (const MeanTerm& mean : means_) terms.push_back(mean.term);
    return terms;
  }
  std::optional<double> constant_weight(const Term& term, double positions, const Scope& scope) const override {
    for (const MeanTerm& mean : means_)
      if (mean.term.role == term.role) return mean.weight(positions, scope);
    return std::nullopt;
  }

 private:
  std::vector<MeanTerm> means_;
};

/// A forget loss that depends on the nll of the whole sequence or on each token's, beside an optional mean over retain.
class ForgetLoss : public MeanObjective {
 public:
  explicit ForgetLoss(std::vector<MeanTerm> retain) : MeanObjective(std::move(retain)) {}
  double evaluate(const Term& term, const SequenceSignals& sequence, const Scope& scope,
                  std::span<double> gradient) const final {
    return term.role == Role::forget ? forget_loss(sequence, scope, gradient)
                                     : Objective::evaluate(term, sequence, scope, gradient);
  }
  std::vector<Term> terms() const final {
    std::vector<Term> terms = MeanObjective::terms();
    terms.push_back({Role::forget, {}});
    return terms;
  }

 private:
  virtual double forget_loss(const SequenceSignals& sequence, const Scope& scope, std::span<double> gradient) const = 0;
};

/// -(2/beta) log sigmoid(beta (advantage - delta)): a preference loss. The advantage of a forget sequence is
///   npo:    S - S_reference, with S its summed nll (Zhang et al. 2024, arXiv 2404.05868)
///   simnpo: S / n (Fan et al. 2024, arXiv 2410.07163)
/// Mean over the forget sequences, times gamma.
class PreferenceLoss final : public ForgetLoss {
 public:
  PreferenceLoss(bool against_reference, double beta, double delta, double gamma, std::vector<MeanTerm> retain)
      : ForgetLoss(std::move(retain)), against_reference_(against_reference), beta_(beta), delta_(delta), gamma_(gamma) {}
  bool uses_reference_nll() const override { return against_reference_; }
  double forget_loss(const SequenceSignals& sequence, const Scope& scope, std::span<double> gradient) const override {
    const double sum = std::accumulate(sequence.model.begin(), sequence.model.end(), 0.0);
    const double length = against_reference_ ? 1 : static_cast<double>(sequence.model.size());
    const double x = beta_ * ((against_reference_ ? sum - sequence.reference_nll : sum / length) - delta_);
    const double scale = gamma_ / scope.forget.sequences;
    std::fill(gradient.begin(), gradient.end(), -2 * scale / length / (1 + std::exp(x)));
    // log sigmoid(x), stable for either sign.
    return -2 / beta_ * scale * (std::min(x, 0.0) - std::log1p(std::exp(-std::abs(x))));
  }

 private:
  bool against_reference_;
  double beta_, delta_, gamma_;
};

/// -mean over forget tokens of w(p) nll, with p the probability of the token; no gradient flows into w = p^beta (1 - p)^beta2:
///   wga:    beta2 = 0 (Wang et al. 2025, arXiv 2502.19301)
///   satimp: both (Yang et al. 2025, arXiv 2505.11953)
class TokenWeightedAscent final : public ForgetLoss {
 public:
  TokenWeightedAscent(double beta, double beta2, double gamma, std::vector<MeanTerm> retain)
      : ForgetLoss(std::move(retain)), beta_(beta), beta2_(beta2), gamma_(gamma) {}
  double forget_loss(const SequenceSignals& sequence, const Scope& scope, std::span<double> gradient) const override {
    double loss = 0;
    for (std::size_t t = 0; t < sequence.model.size(); ++t) {
      const double nll = sequence.model[t];
      gradient[t] = -gamma_ / scope.forget.tokens * std::exp(-beta_ * nll) * std::pow(-std::expm1(-nll), beta2_);
      loss += gradient[t] * nll;
    }
    return loss;
  }

 private:
  double beta_, beta2_, gamma_;
};

}  // namespace expunge
