// Distillation from a distribution with a lowered label: undial (Dong et al. 2024, arXiv 2402.10052) and ce_u (Yang 2025,
// arXiv 2503.01224).
#include "unlearn/parts.h"

namespace expunge {
namespace {

/// Cross-entropy to softmax(reference logits - beta at the label).
std::unique_ptr<Objective> undial(const MethodValues& o) {
  Signal signal = to_reference(Signal::Kind::cross_entropy);
  signal.label_shift = o["beta"];
  return with_retain({{Role::forget, signal}, o["gamma"], MeanTerm::Over::tokens}, o);
}

/// Cross-entropy to the model's own distribution without the label, held constant. The paper skips the first token of an
/// answer. This skips no target, because a text without a question has no prediction for its first token anyway.
std::unique_ptr<Objective> ce_u(const MethodValues& o) {
  const Signal signal{.kind = Signal::Kind::cross_entropy, .target = Signal::Target::own, .label_shift = kWholeLabel};
  return with_retain({{Role::forget, signal}, o["gamma"], MeanTerm::Over::tokens}, o);
}

}  // namespace

std::vector<Method> undial_methods() {
  return {{.name = "undial",
           .summary = "self-distillation with the label's logit lowered",
           .mixes = true,
           .options = weighted(1, 0, {{"beta", MethodOption::Values::above_zero, 10, "reduction of the label's logit"}}),
           .make = undial},
          {.name = "ce_u",
           .summary = "cross-entropy to the model's own distribution without the label",
           .mixes = true,
           .options = weighted(1, 0),
           .make = ce_u}};
}

}  // namespace expunge
