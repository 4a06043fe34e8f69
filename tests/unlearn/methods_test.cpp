// Losses and weights of the methods on numbers worked out by hand, and their gradients by finite difference.
#include <gtest/gtest.h>

#include <cmath>

#include "expunge/error.h"
#include "expunge/objective.h"

namespace expunge {
namespace {

const Scope kScope{.forget = {.tokens = 30, .sequences = 3}, .retain = {.tokens = 8, .sequences = 1}, .sequences = 4};

std::unique_ptr<Objective> make(const char* method) { return make_objective({method}); }

Term term_of(const Objective& objective, Role role) {
  for (const Term& term : objective.terms())
    if (term.role == role) return term;
  ADD_FAILURE() << "no term for the role";
  return {};
}

double weight(const Objective& objective, Role role, double positions) {
  return objective.constant_weight(term_of(objective, role), positions, kScope).value();
}

struct Evaluated {
  double loss;
  std::vector<double> gradient;
};

Evaluated evaluate(const Objective& objective, std::vector<double> signals, double reference_nll = 0) {
  Evaluated result{0, std::vector<double>(signals.size())};
  result.loss =
      objective.evaluate(term_of(objective, Role::forget), {Role::forget, signals, reference_nll}, kScope, result.gradient);
  return result;
}

const std::vector<double> kNll = {0.5, 2.0, 0.1};

TEST(StudyMethods, WeighEverySequencesMeanNll) {
  EXPECT_DOUBLE_EQ(weight(*make("gradient_ascent"), Role::forget, 10), -1.0 / (10 * 4));
  EXPECT_DOUBLE_EQ(weight(*make("random_label"), Role::forget, 10), 1.0 / (10 * 4));
  EXPECT_DOUBLE_EQ(weight(*make("finetune"), Role::retain, 8), 1.0 / (8 * 4));
  EXPECT_DOUBLE_EQ(weight(*make("retrain"), Role::retain, 8), 1.0 / (8 * 4));
  EXPECT_DOUBLE_EQ(weight(*make_descent(), Role::retain, 8), 1.0 / (8 * 4));
  const auto mixed = make_objective({"ascent_plus_descent", {{"positive-factor", 0.5}}});
  EXPECT_DOUBLE_EQ(weight(*mixed, Role::forget, 10), -1.0 / (10 * 4));
  EXPECT_DOUBLE_EQ(weight(*mixed, Role::retain, 8), 0.5 / (8 * 4));
}

TEST(StudyMethods, KlIsACrossEntropyToTheReferenceModel) {
  const auto paper = make("ascent_plus_kl_divergence");
  const Term term = term_of(*paper, Role::retain);
  EXPECT_EQ(term.signal.kind, Signal::Kind::cross_entropy);
  EXPECT_TRUE(term.signal.uses_reference());
  EXPECT_FALSE(term.signal.every_position);
  EXPECT_DOUBLE_EQ(weight(*paper, Role::retain, 7), 1.0 / (7 * 4));
  const auto released = make_objective({"ascent_plus_kl_divergence"}, {.released = true, .max_length = 16});
  EXPECT_TRUE(term_of(*released, Role::retain).signal.every_position);
  EXPECT_DOUBLE_EQ(term_of(*released, Role::retain).signal.epsilon, 1e-12);
  EXPECT_DOUBLE_EQ(weight(*released, Role::retain, 8), 1.0 / (16 * 4));
}

TEST(LaterMethods, ConstantWeights) {
  const auto grad_diff = make_objective({"grad_diff", {{"gamma", 2}, {"alpha", 3}}});
  EXPECT_DOUBLE_EQ(weight(*grad_diff, Role::forget, 10), -2.0 / 30);
  EXPECT_DOUBLE_EQ(weight(*grad_diff, Role::retain, 8), 3.0 / 8);
  const auto kl = make_objective({"grad_diff", {{"retain-loss", 1}}});
  EXPECT_EQ(term_of(*kl, Role::retain).signal.kind, Signal::Kind::divergence);

  const auto undial = make("undial");
  EXPECT_EQ(undial->terms().size(), 1u);  // alpha 0: no retain set
  EXPECT_DOUBLE_EQ(term_of(*undial, Role::forget).signal.label_shift, 10);
  EXPECT_TRUE(term_of(*undial, Role::forget).signal.uses_reference());
  EXPECT_DOUBLE_EQ(weight(*undial, Role::forget, 10), 1.0 / 30);

  const auto ce_u = make("ce_u");
  EXPECT_EQ(term_of(*ce_u, Role::forget).signal.label_shift, kWholeLabel);
  EXPECT_EQ(term_of(*ce_u, Role::forget).signal.target, Signal::Target::own);

  const auto rmu = make_objective({"rmu", {{"layer", 3}, {"steering-coefficient", 6.5}}});
  const Signal steered = term_of(*rmu, Role::forget).signal;
  EXPECT_EQ(steered.layer, 3);
  EXPECT_DOUBLE_EQ(steered.control_norm, 6.5);
  EXPECT_DOUBLE_EQ(weight(*rmu, Role::forget, 10), 1.0 / (10 * 3));
  EXPECT_DOUBLE_EQ(weight(*rmu, Role::retain, 8), 1.0 / 8);
  EXPECT_TRUE(term_of(*rmu, Role::retain).signal.uses_reference());
}

// -(2 / 0.1) log sigmoid(0.1 (2.6 - 1.7)) / 3, with S = 2.6 and S_reference = 1.7
TEST(LaterMethods, NpoByHand) {
  const auto npo = make("npo");
  EXPECT_TRUE(npo->uses_reference_nll());
  const Evaluated found = evaluate(*npo, kNll, 1.7);
  EXPECT_NEAR(found.loss, 20.0 / 3 * std::log(1 + std::exp(-0.09)), 1e-14);
  for (const double g : found.gradient) EXPECT_NEAR(g, -2.0 / 3 / (1 + std::exp(0.09)), 1e-15);
  // At the reference model it is plain ascent on the summed nll.
  for (const double g : evaluate(*npo, kNll, 2.6).gradient) EXPECT_NEAR(g, -1.0 / 3, 1e-15);
  // Stable far away.
  EXPECT_NEAR(evaluate(*npo, {40000}, 0).loss, 0, 1e-300);
  EXPECT_NEAR(evaluate(*npo, {0}, 40000).loss, 2.0 * 40000 / 3, 1e-8);
}

TEST(LaterMethods, SimnpoByHand) {
  const auto simnpo = make_objective({"simnpo", {{"gamma", 1}, {"beta", 4.5}, {"delta", 0.2}}});
  EXPECT_FALSE(simnpo->uses_reference_nll());
  const double x = 4.5 * (2.6 / 3 - 0.2);
  const Evaluated found = evaluate(*simnpo, kNll);
  EXPECT_NEAR(found.loss, 2 / 4.5 / 3 * std::log(1 + std::exp(-x)), 1e-14);
  for (const double g : found.gradient) EXPECT_NEAR(g, -2.0 / 3 / 3 / (1 + std::exp(x)), 1e-15);
}

TEST(LaterMethods, TokenWeightedAscentByHand) {
  const Evaluated wga = evaluate(*make("wga"), kNll);
  double expected = 0;
  for (std::size_t t = 0; t < kNll.size(); ++t) {
    EXPECT_NEAR(wga.gradient[t], -std::exp(-kNll[t]) / 30, 1e-15);
    expected -= std::exp(-kNll[t]) * kNll[t] / 30;
  }
  EXPECT_NEAR(wga.loss, expected, 1e-15);
  const Evaluated satimp = evaluate(*make("satimp"), kNll);
  for (std::size_t t = 0; t < kNll.size(); ++t) {
    const double p = std::exp(-kNll[t]);
    EXPECT_NEAR(satimp.gradient[t], -0.1 * std::pow(p, 5) * (1 - p) / 30, 1e-15);
  }
}

/// The methods whose loss is differentiated as it stands; in the others weights are held constant.
TEST(LaterMethods, GradientsEqualFiniteDifferences) {
  constexpr double kStep = 1e-5;
  for (const char* method : {"npo", "simnpo"}) {
    const auto objective = make(method);
    const Evaluated at = evaluate(*objective, kNll, 1.7);
    for (std::size_t t = 0; t < kNll.size(); ++t) {
      std::vector<double> up = kNll, down = kNll;
      up[t] += kStep;
      down[t] -= kStep;
      const double slope = (evaluate(*objective, up, 1.7).loss - evaluate(*objective, down, 1.7).loss) / (2 * kStep);
      EXPECT_NEAR(slope, at.gradient[t], 1e-9) << method;
    }
  }
  // With the weight held: the loss is linear in each token's nll.
  for (const char* method : {"wga", "satimp"}) {
    const auto objective = make(method);
    const Evaluated at = evaluate(*objective, kNll);
    double linear = 0;
    for (std::size_t t = 0; t < kNll.size(); ++t) linear += at.gradient[t] * kNll[t];
    EXPECT_NEAR(linear, at.loss, 1e-15) << method;
  }
}

TEST(Methods, EachHasATermForEachRoleThatItMixes) {
  for (const Method& info : methods()) {
    const auto objective = make_objective({std::string(info.name), {{"alpha", 1}}}, {.max_length = 8});
    EXPECT_EQ(objective->terms().size(), info.mixes ? 2u : 1u) << info.name;
    for (const Term& term : objective->terms())
      if (const auto constant = objective->constant_weight(term, 4, kScope)) {
        std::vector<double> gradient(4);
        const std::vector<double> signals = {1, 2, 3, 4};
        EXPECT_NEAR(objective->evaluate(term, {term.role, signals}, kScope, gradient), *constant * 10, 1e-15) << info.name;
        EXPECT_EQ(gradient, std::vector<double>(4, *constant)) << info.name;
      }
  }
}

TEST(Methods, AnUnknownNameListsTheKnown) {
  try {
    make("gradient_descent");
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::usage);
    for (const Method& info : methods()) EXPECT_NE(std::string(error.what()).find(info.name), std::string::npos);
  }
}

}  // namespace
}  // namespace expunge
