// The unlearning methods: one line each in the registry, and how each is put together.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "expunge/error.h"
#include "expunge/objective.h"
#include "unlearn/objectives.h"

namespace expunge {
namespace {

using Over = MeanTerm::Over;
using Made = std::unique_ptr<Objective>;

constexpr Signal kNll{};

Made means(std::vector<MeanTerm> terms) { return std::make_unique<MeanObjective>(std::move(terms)); }

Signal to_reference(Signal::Kind kind) { return {.kind = kind, .target = Signal::Target::reference}; }

// Yao et al. 2024 (arXiv 2402.15159), section 3. N is a sequence's mean nll; every loss is the mean over a step's sequences,
// forget and retain alike.

/// -N(forget).
Made gradient_ascent(const MethodOptions&) { return means({{{Role::forget, kNll}, -1, Over::sequences}}); }
/// N(forget), of random labels or adversarial ones.
Made other_labels(const MethodOptions&) { return means({{{Role::forget, kNll}, 1, Over::sequences}}); }
/// N(retain): the baselines.
Made descent(const MethodOptions&) { return means({{{Role::retain, kNll}, 1, Over::sequences}}); }

/// -N(forget) + positive factor x N(retain).
Made ascent_plus_descent(const MethodOptions& o) {
  return means({{{Role::forget, kNll}, -1, Over::sequences}, {{Role::retain, kNll}, o.positive_factor, Over::sequences}});
}

/// -N(forget) + positive factor x the mean over retain's targets of forward KL to the original model, as cross-entropy
/// -sum p_original log p. The released code adds 1e-12 to p and takes the mean over every position of a padded sequence, where
/// we have no padding: over every position there is, divided by the padded length.
Made ascent_plus_kl(const MethodOptions& o) {
  Signal kl = to_reference(Signal::Kind::cross_entropy);
  MeanTerm retain{{Role::retain, kl}, o.positive_factor, Over::sequences};
  if (o.released) {
    retain.term.signal.epsilon = 1e-12;
    retain.term.signal.every_position = true;
    retain.over = Over::fixed_length;
    retain.length = o.max_length;
  }
  return means({{{Role::forget, kNll}, -1, Over::sequences}, retain});
}

// Later methods: L = gamma L_forget + alpha L_retain, defaults as open-unlearning's. Forget terms of one token are means over
// the forget targets of a step: where open-unlearning's mean takes in positions without a target (undial, KL), ours does not.

double gamma(const MethodOptions& o, double usual) { return o.gamma.value_or(usual); }

/// alpha x the retain term that was asked for, a mean over the retain targets of a step: the nll, or KL(p_reference || p).
/// Nothing when alpha is 0.
std::vector<MeanTerm> retain_terms(const MethodOptions& o, double usual) {
  const double alpha = o.alpha.value_or(usual);
  if (alpha == 0) return {};
  return {{{Role::retain, o.retain_kl ? to_reference(Signal::Kind::divergence) : kNll}, alpha, Over::tokens}};
}

Made with_retain(MeanTerm forget, std::vector<MeanTerm> terms) {
  terms.push_back(forget);
  return means(std::move(terms));
}

/// -nll, beside retain's nll or KL: the difference of gradients (Liu et al. 2022, arXiv 2203.12817; for language models Maini
/// et al. 2024, arXiv 2401.06121).
Made grad_diff(const MethodOptions& o) {
  return with_retain({{Role::forget, kNll}, -gamma(o, 1), Over::tokens}, retain_terms(o, 1));
}

/// Formulas of npo and simnpo: PreferenceLoss.
Made npo(const MethodOptions& o) {
  return std::make_unique<PreferenceLoss>(true, o.beta.value_or(0.1), 0, gamma(o, 1), retain_terms(o, 1));
}

Made simnpo(const MethodOptions& o) {
  return std::make_unique<PreferenceLoss>(false, o.beta.value_or(4.5), o.delta.value_or(0), gamma(o, 0.125),
                                          retain_terms(o, 1));
}

/// Formulas of wga and satimp: TokenWeightedAscent.
Made wga(const MethodOptions& o) {
  return std::make_unique<TokenWeightedAscent>(o.beta.value_or(1), 0, gamma(o, 1), retain_terms(o, 1));
}

Made satimp(const MethodOptions& o) {
  return std::make_unique<TokenWeightedAscent>(o.beta.value_or(5), o.beta2.value_or(1), gamma(o, 0.1), retain_terms(o, 1));
}

/// Cross-entropy to softmax(reference logits - beta at the label) (Dong et al. 2024, arXiv 2402.10052).
Made undial(const MethodOptions& o) {
  Signal signal = to_reference(Signal::Kind::cross_entropy);
  signal.label_shift = o.beta.value_or(10);
  return with_retain({{Role::forget, signal}, gamma(o, 1), Over::tokens}, retain_terms(o, 0));
}

/// Cross-entropy to the model's own distribution without the label, held constant (Yang 2025, arXiv 2503.01224). No target is
/// skipped: the paper leaves out the first token of an answer, and of a text without a question that is the one which nothing
/// predicts anyway.
Made ce_u(const MethodOptions& o) {
  const Signal signal{.kind = Signal::Kind::cross_entropy, .target = Signal::Target::own, .label_shift = kWholeLabel};
  return with_retain({{Role::forget, signal}, gamma(o, 1), Over::tokens}, retain_terms(o, 0));
}

/// A block's output h is steered to a random control vector c on forget and held at the reference model's on retain: the mean
/// square of h - c, and of h - h_reference, over the dimensions, then over all positions of a sequence, then over the role's
/// sequences (Li et al. 2024, arXiv 2403.03218; its code has the mean over the dimensions where its text has the sum).
Made rmu(const MethodOptions& o) {
  Signal signal{.kind = Signal::Kind::distance,
                .target = Signal::Target::control,
                .every_position = true,
                .layer = o.layer.value_or(7),
                .control_norm = o.steering.value_or(2)};
  std::vector<MeanTerm> terms{{{Role::forget, signal}, gamma(o, 1), Over::own_sequences}};
  signal.target = Signal::Target::reference;
  if (const double alpha = o.alpha.value_or(1); alpha != 0)
    terms.push_back({{Role::retain, signal}, alpha, Over::own_sequences});
  return means(std::move(terms));
}

struct Method {
  MethodInfo info;
  Made (*make)(const MethodOptions&);
};

using Options = std::vector<std::string_view>;

/// Options of methods with a retain set, and those of gamma and alpha.
Options with(Options own) {
  own.insert(own.end(), {"general", "positive-ratio", "retain-repeat"});
  return own;
}
Options weighted(Options own) {
  own.insert(own.end(), {"gamma", "alpha", "retain-loss"});
  return with(std::move(own));
}

const std::vector<Method>& registry() {
  static const std::vector<Method> methods = {
      {{"gradient_ascent", "ascent on forget"}, gradient_ascent},
      {{"random_label",
        "descent on forget with random labels, or with adversarial ones (--top-k 1 --rm-groundtruth)",
        true,
        false,
        {"top-k", "top-p", "rm-groundtruth", "save-labels"}},
       other_labels},
      {{"ascent_plus_descent", "ascent on forget, descent on retain", false, true, with({"positive-factor"})},
       ascent_plus_descent},
      {{"ascent_plus_kl_divergence", "ascent on forget, KL to the original model on retain", false, true,
        with({"positive-factor"})},
       ascent_plus_kl},
      {{"finetune", "baseline: descent on retain", false, false, {"general"}}, descent},
      {{"retrain", "baseline: descent on retain, of a model that never saw forget", false, false, {"general"}}, descent},
      {{"grad_diff", "gamma x ascent on forget, alpha x nll or KL on retain, means over tokens", false, true, weighted({})},
       grad_diff},
      {{"npo", "negative preference optimisation", false, true, weighted({"beta"})}, npo},
      {{"simnpo", "npo without a reference model, by mean nll", false, true, weighted({"beta", "delta"})}, simnpo},
      {{"wga", "ascent weighted by the token's probability", false, true, weighted({"beta"})}, wga},
      {{"satimp", "ascent weighted by saturation and importance", false, true, weighted({"beta", "beta2"})}, satimp},
      {{"undial", "self-distillation with the label's logit lowered", false, true, weighted({"beta"})}, undial},
      {{"ce_u", "cross-entropy to the model's own distribution without the label", false, true, weighted({})}, ce_u},
      {{"rmu", "a block's output steered to a random vector, held on retain", false, true,
        with({"gamma", "alpha", "layer", "steering-coefficient"})},
       rmu},
  };
  return methods;
}

const Method& find(std::string_view name) {
  const auto found = std::ranges::find(registry(), name, [](const Method& m) { return m.info.name; });
  if (found != registry().end()) return *found;
  std::vector<std::string_view> names;
  for (const Method& method : registry()) names.push_back(method.info.name);
  fail(ExitCode::usage, fmt::format("--method: unknown method '{}'; use one of: {}", name, fmt::join(names, ", ")));
}

}  // namespace

double Objective::evaluate(const Term& term, const SequenceSignals& sequence, const Scope& scope,
                           std::span<double> gradient) const {
  const auto weight = constant_weight(term, static_cast<double>(sequence.model.size()), scope);
  check(weight.has_value(), "an objective gives a term a constant weight or evaluates it itself");
  std::fill(gradient.begin(), gradient.end(), *weight);
  return *weight * std::accumulate(sequence.model.begin(), sequence.model.end(), 0.0);
}

Made make_descent() { return descent({}); }

Made make_objective(const MethodOptions& options) { return find(options.method).make(options); }

const MethodInfo& method_info(std::string_view name) { return find(name).info; }

const std::vector<MethodInfo>& methods() {
  static const std::vector<MethodInfo> infos = [] {
    std::vector<MethodInfo> all;
    for (const Method& method : registry()) all.push_back(method.info);
    return all;
  }();
  return infos;
}

}  // namespace expunge
