// The seven methods of the study, with two kinds of random_label: Yao et al. 2024 (arXiv 2402.15159), section 3.
#include "unlearn/parts.h"

namespace expunge {
namespace {

using Over = MeanTerm::Over;
using Made = std::unique_ptr<Objective>;

// N is a sequence's mean nll; every loss is the mean over a step's sequences, both forget and retain.

/// -N(forget).
Made gradient_ascent(const MethodValues&) { return means({{{Role::forget, kNll}, -1, Over::sequences}}); }
/// N(forget) with random or adversarial labels.
Made other_labels(const MethodValues&) { return means({{{Role::forget, kNll}, 1, Over::sequences}}); }
/// N(retain), for the baselines.
Made descent(const MethodValues&) { return make_descent(); }

/// -N(forget) + positive factor x N(retain).
Made ascent_plus_descent(const MethodValues& o) {
  return means({{{Role::forget, kNll}, -1, Over::sequences}, {{Role::retain, kNll}, o["positive-factor"], Over::sequences}});
}

/// -N(forget) + positive factor x the mean over retain's targets of forward KL to the reference model, as cross-entropy
/// -sum p_reference log p. The released code adds 1e-12 to p and takes the mean over every position of a padded sequence. Here
/// sequences have no padding: the sum over every position is divided by the padded length.
Made ascent_plus_kl(const MethodValues& o) {
  Signal kl = to_reference(Signal::Kind::cross_entropy);
  MeanTerm retain{{Role::retain, kl}, o["positive-factor"], Over::sequences};
  if (o.released) {
    retain.term.signal.epsilon = 1e-12;
    retain.term.signal.every_position = true;
    retain.over = Over::fixed_length;
    retain.length = o.max_length;
  }
  return means({{{Role::forget, kNll}, -1, Over::sequences}, retain});
}

}  // namespace

std::vector<Method> study_methods() {
  const std::vector<MethodOption> factor = {
      {"positive-factor", MethodOption::Values::at_least_zero, 1, "weight of the retain sequences' loss", {}, true}};
  return {
      {.name = "gradient_ascent", .summary = "ascent on forget", .make = gradient_ascent},
      {.name = "random_label",
       .summary = "descent on forget with random labels, or with adversarial ones (--top-k 1 --rm-groundtruth)",
       .replaces_labels = true,
       .uses = {"top-k", "top-p", "rm-groundtruth", "save-labels"},
       .make = other_labels},
      {.name = "ascent_plus_descent",
       .summary = "ascent on forget, descent on retain",
       .mixes = true,
       .options = factor,
       .make = ascent_plus_descent},
      {.name = "ascent_plus_kl_divergence",
       .summary = "ascent on forget, KL to the reference model on retain",
       .mixes = true,
       .options = factor,
       .make = ascent_plus_kl},
      {.name = "finetune", .summary = "baseline: descent on retain", .uses = {"general"}, .make = descent},
      {.name = "retrain",
       .summary = "baseline: descent on retain, of a model that never saw forget",
       .uses = {"general"},
       .make = descent},
  };
}

std::unique_ptr<Objective> make_descent() { return means({{{Role::retain, kNll}, 1, Over::sequences}}); }

}  // namespace expunge
