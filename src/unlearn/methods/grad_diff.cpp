// The difference of gradients: Liu et al. 2022 (arXiv 2203.12817); for language models Maini et al. 2024 (arXiv 2401.06121).
#include "unlearn/parts.h"

namespace expunge {
namespace {

/// -nll on forget, with nll or KL on retain.
std::unique_ptr<Objective> grad_diff(const MethodValues& o) {
  return with_retain({{Role::forget, kNll}, -o["gamma"], MeanTerm::Over::tokens}, o);
}

}  // namespace

std::vector<Method> grad_diff_methods() {
  return {{.name = "grad_diff",
           .summary = "gamma x ascent on forget, alpha x nll or KL on retain, means over tokens",
           .mixes = true,
           .options = weighted(1, 1),
           .make = grad_diff}};
}

}  // namespace expunge
