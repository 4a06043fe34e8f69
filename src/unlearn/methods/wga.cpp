// Ascent with a weight for each token: wga (Wang et al. 2025, arXiv 2502.19301), satimp (Yang et al. 2025, arXiv 2505.11953).
#include <cmath>

#include "unlearn/parts.h"

namespace expunge {
namespace {

/// -mean over forget tokens of w(p) nll, p the probability of the token. The gradient holds w = p^beta (1 - p)^beta2 constant:
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

std::unique_ptr<Objective> wga(const MethodValues& o) {
  return std::make_unique<TokenWeightedAscent>(o["beta"], 0, o["gamma"], retain_terms(o));
}

std::unique_ptr<Objective> satimp(const MethodValues& o) {
  return std::make_unique<TokenWeightedAscent>(o["beta"], o["beta2"], o["gamma"], retain_terms(o));
}

}  // namespace

std::vector<Method> wga_methods() {
  using Values = MethodOption::Values;
  const auto beta = [](double usual) { return MethodOption{"beta", Values::above_zero, usual, "exponent of the probability"}; };
  return {{.name = "wga",
           .summary = "ascent weighted by the token's probability",
           .mixes = true,
           .options = weighted(1, 1, {beta(1)}),
           .make = wga},
          {.name = "satimp",
           .summary = "ascent weighted by saturation and importance",
           .mixes = true,
           .options = weighted(0.1, 1, {beta(5), {"beta2", Values::at_least_zero, 1, "exponent of one minus the probability"}}),
           .make = satimp}};
}

}  // namespace expunge
