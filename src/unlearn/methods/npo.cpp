// Negative preference optimisation: npo (Zhang et al. 2024, arXiv 2404.05868) and simnpo (Fan et al. 2024, arXiv 2410.07163).
#include <algorithm>
#include <cmath>
#include <numeric>

#include "unlearn/parts.h"

namespace expunge {
namespace {

/// -(2/beta) log sigmoid(beta (advantage - delta)), a preference loss. The advantage of a forget sequence is
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

std::unique_ptr<Objective> npo(const MethodValues& o) {
  return std::make_unique<PreferenceLoss>(true, o["beta"], 0, o["gamma"], retain_terms(o));
}

std::unique_ptr<Objective> simnpo(const MethodValues& o) {
  return std::make_unique<PreferenceLoss>(false, o["beta"], o["delta"], o["gamma"], retain_terms(o));
}

}  // namespace

std::vector<Method> npo_methods() {
  using Values = MethodOption::Values;
  const auto beta = [](double usual) { return MethodOption{"beta", Values::above_zero, usual, "inverse temperature"}; };
  return {{.name = "npo",
           .summary = "negative preference optimisation",
           .mixes = true,
           .options = weighted(1, 1, {beta(0.1)}),
           .make = npo},
          {.name = "simnpo",
           .summary = "npo without a reference model, by mean nll",
           .mixes = true,
           .options =
               weighted(0.125, 1, {beta(4.5), {"delta", Values::at_least_zero, 0, "margin that the advantage has to exceed"}}),
           .make = simnpo}};
}

}  // namespace expunge
