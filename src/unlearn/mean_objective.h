// Common shapes of losses: weighted means of a signal, and a forget loss beside them.
#pragma once

#include <utility>
#include <vector>

#include "expunge/objective.h"

namespace expunge {

/// A factor times a mean of a signal over a role.
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

/// A sum of mean terms; a subclass may replace the forget term by a loss of its own.
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

/// A forget loss that depends on the nll of the whole sequence or of each token, beside an optional mean over retain.
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

}  // namespace expunge
