// Steers a block's output: rmu (Li et al. 2024, arXiv 2403.03218).
#include <cmath>

#include "core/random.h"
#include "unlearn/parts.h"

namespace expunge {
namespace {

/// Steers a block's output h to a random control vector c on forget, and to the reference model's output on retain. The loss is
/// the mean square of h - c, and of h - h_reference. The mean is over the dimensions, then over all positions of a sequence,
/// then over the role's sequences. The paper's text has the sum over the dimensions, but its code the mean, as here.
std::unique_ptr<Objective> rmu(const MethodValues& o) {
  Signal signal{.kind = Signal::Kind::distance,
                .target = Signal::Target::control,
                .every_position = true,
                .layer = static_cast<int>(o["layer"]),
                .control_norm = o["steering-coefficient"]};
  std::vector<MeanTerm> terms{{{Role::forget, signal}, o["gamma"], MeanTerm::Over::own_sequences}};
  signal.target = Signal::Target::reference;
  if (o["alpha"] != 0) terms.push_back({{Role::retain, signal}, o["alpha"], MeanTerm::Over::own_sequences});
  return means(std::move(terms));
}

}  // namespace

std::vector<Method> rmu_methods() {
  using Values = MethodOption::Values;
  return {{.name = "rmu",
           .summary = "a block's output steered to a random vector, held on retain",
           .mixes = true,
           .options = {gamma_option(1),
                       alpha_option(1),
                       {"layer", Values::whole, 7, "block whose output is steered, counted from 0"},
                       {"steering-coefficient", Values::above_zero, 2, "length of the control vector"}},
           .make = rmu}};
}

std::vector<double> control_vector(const Objective& objective, std::uint64_t seed, int hidden_size) {
  static const std::uint64_t kStream = random_stream("control vector");
  std::vector<double> vector;
  for (const Term& term : objective.terms()) {
    if (term.signal.target != Signal::Target::control) continue;
    vector.resize(static_cast<std::size_t>(hidden_size));
    double sum = 0;
    for (std::size_t i = 0; i < vector.size(); ++i) {
      vector[i] = random_uniform(seed, kStream, i);
      sum += vector[i] * vector[i];
    }
    for (double& x : vector) x *= term.signal.control_norm / std::sqrt(sum);
  }
  return vector;
}

}  // namespace expunge
