// Soft-target cross-entropy against PyTorch, at its limits, and with outputs that replace their inputs.
#include <limits>

#include "testing.h"

namespace expunge::testing {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

template <typename A>
struct Result {
  std::vector<A> signal, lse, target_lse, gradient;
};

/// Forward and backward with dsignal, the target apart from the logits.
template <typename A>
Result<A> soft_target(const std::vector<A>& logits, const std::vector<A>& target, const std::vector<std::int32_t>& labels,
                      const std::vector<A>& dsignal, const SoftTarget& objective) {
  const int n = int(labels.size()), vocabulary = int(logits.size()) / n;
  Result<A> result;
  for (auto* values : {&result.signal, &result.lse, &result.target_lse}) values->resize(labels.size());
  result.gradient.resize(logits.size());
  std::vector<A> nll(labels.size());
  std::vector<std::int32_t> prediction(labels.size());
  table<A>().nll_forward(stream(), nll.data(), result.lse.data(), prediction.data(), logits.data(), labels.data(), n,
                         vocabulary);
  table<A>().soft_target_forward(stream(), result.signal.data(), result.target_lse.data(), logits.data(), result.lse.data(),
                                 target.data(), labels.data(), n, vocabulary, objective);
  table<A>().soft_target_backward(stream(), result.gradient.data(), logits.data(), result.lse.data(), target.data(),
                                  result.target_lse.data(), labels.data(), dsignal.data(), n, vocabulary, objective);
  return result;
}

/// torch.nn.functional.cross_entropy with probabilities as targets, or -(q * torch.log(p + epsilon)).sum(); less
/// torch.special.entr(q).sum(). Gradients by torch.autograd. PyTorch 2 in float64.
TEST(SoftTarget, AgreesWithPyTorch) {
  struct Golden {
    SoftTarget objective;
    double signal;
    std::vector<double> gradient;
  };
  const std::vector<double> divergence_gradient{0.04915608181709662, -0.02432456319795628, 0.6944820075129597,
                                                -0.7167497360332292, -0.002563790098870655};
  const std::vector<double> removed_gradient{-0.4304199988662814, -0.2508602632074103, 0.6111441807881002, 0.09657655850103779,
                                             -0.02644047721544623};
  for (const Golden& golden : {
           Golden{{0, 0, false}, 2.328301444649746, divergence_gradient},
           {{0, 0, true}, 1.659421721893001, divergence_gradient},
           {{2, 0, false},
            2.30669327499292,
            {-0.2117020211025348, -0.1475452060286634, 0.6491516662876131, -0.2743532888531733, -0.01555115030324163}},
           {{kInfinity, 0, false}, 2.28857578077817, removed_gradient},
           {{kInfinity, 0, true}, 1.284063512607404, removed_gradient},
           {{0, 0.01, false},
            2.216999259989396,
            {0.03955804697705614, -0.01332005808549516, 0.6225804498296701, -0.6502025204102235, 0.001384081688992476}},
           {{2, 0.01, true},
            0.8737591740101915,
            {-0.2086396332468578, -0.1043084504434463, 0.5655331426525462, -0.2509863054356826, -0.001598753526559231}},
       }) {
    const auto found = soft_target<double>({0.5, -1.25, 2, 0, -3.5}, {1, 0.25, -0.75, 3, -2}, {3}, {1}, golden.objective);
    EXPECT_NEAR(found.signal[0], golden.signal, 1e-14);
    EXPECT_LE(relative_error(found.gradient, golden.gradient), 1e-14);
  }
}

TEST(SoftTarget, OutputMayReplaceTheLogitsAndTheTarget) {
  constexpr int kVocabulary = 4099;
  const auto logits = narrow<float>(random_values(3 * kVocabulary, 1)),
             target = narrow<float>(random_values(3 * kVocabulary, 2));
  const std::vector<std::int32_t> labels{4, -100, kVocabulary - 1};
  const std::vector<float> dsignal{0.5f, 1.0f, -2.0f};
  for (const SoftTarget& objective :
       {SoftTarget{kInfinity, 0, false}, {kInfinity, 1e-2, false}, {2, 0, true}, {0, 1e-2, true}}) {
    const auto in_place = [&](bool own_target) {
      const Result<float> apart = soft_target(logits, own_target ? logits : target, labels, dsignal, objective);
      std::vector<float> logits_then_gradient = logits;
      const float* const targets = own_target ? logits_then_gradient.data() : target.data();
      std::vector<float> signal(3), target_lse(3);
      table<float>().soft_target_forward(stream(), signal.data(), target_lse.data(), logits_then_gradient.data(),
                                         apart.lse.data(), targets, labels.data(), 3, kVocabulary, objective);
      table<float>().soft_target_backward(stream(), logits_then_gradient.data(), logits_then_gradient.data(), apart.lse.data(),
                                          targets, target_lse.data(), labels.data(), dsignal.data(), 3, kVocabulary, objective);
      EXPECT_EQ(signal, apart.signal);
      EXPECT_EQ(logits_then_gradient, apart.gradient);
    };
    in_place(false);
    in_place(true);
  }
}

/// Without epsilon the logarithm of a probability that underflows is exact, and a removed label takes nothing with it.
TEST(SoftTarget, StaysExactWhereProbabilitiesUnderflow) {
  const std::vector<float> logits{1000, 0, 0};
  const auto removed = soft_target(logits, logits, {0}, {2.0f}, {kInfinity, 0, false});
  EXPECT_EQ(removed.signal[0], 1000);
  EXPECT_FLOAT_EQ(removed.target_lse[0], float(std::log(2.0)));
  EXPECT_EQ(removed.gradient, (std::vector<float>{2, -1, -1}));
  const auto shifted = soft_target(logits, logits, {0}, {2.0f}, {2000, 0, false});
  EXPECT_EQ(shifted.signal[0], 1000);
  EXPECT_EQ(shifted.gradient, (std::vector<float>{2, -1, -1}));
  const auto smoothed = soft_target(logits, logits, {0}, {2.0f}, {kInfinity, 1e-12, false});
  EXPECT_FLOAT_EQ(smoothed.signal[0], float(-std::log(1e-12)));
  EXPECT_EQ(smoothed.gradient, (std::vector<float>{0, 0, 0}));
}

TEST(SoftTarget, LargeLogitsAndVocabulary) {
  constexpr int kVocabulary = 131072;
  const std::vector<float> logits(kVocabulary, 1e4f);
  const auto entropy = soft_target(logits, logits, {-1}, {1.0f}, {0, 0, false});
  EXPECT_NEAR(entropy.signal[0], std::log(double(kVocabulary)), 1e-3);
  const auto divergence = soft_target(logits, logits, {7}, {1.0f}, {0, 0, true});
  EXPECT_NEAR(divergence.signal[0], 0, 1e-5);
  EXPECT_EQ(divergence.gradient, std::vector<float>(kVocabulary, 0.0f));
}

TEST(SoftTarget, RowsOfWeightZeroGiveZeros) {
  const auto result = soft_target<float>({1, std::nanf(""), 1, 2}, {3, 4, 5, 6}, {0, 1}, {0.0f, 1.0f}, {0, 0, true});
  EXPECT_EQ(result.gradient[0], 0);
  EXPECT_EQ(result.gradient[1], 0);
  EXPECT_NE(result.gradient[2], 0);
}

}  // namespace
}  // namespace expunge::testing
