// The exponential and the logarithm, rope angles, predictions, ignored labels, and kernels over flat vectors.
#include <omp.h>

#include <limits>

#include "testing.h"

namespace expunge::testing {
namespace {

TEST(Exponential, IsGoodToOneAndAHalfUnitsInTheLastPlace) {
  double worst = 0;
  for (double x = -87.3; x < 88.3; x += 1.7e-4) {
    const float argument = float(x);
    const double exact = std::exp(double(argument));
    const double unit = std::exp2(std::floor(std::log2(exact)) - 23);
    worst = std::max(worst, std::abs(cpu::exponential(argument) - exact) / unit);
  }
  EXPECT_LE(worst, 1.5);
}

TEST(Exponential, HasLimits) {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  EXPECT_EQ(cpu::exponential(0.0f), 1.0f);
  EXPECT_EQ(cpu::exponential(-kInfinity), 0.0f);
  EXPECT_EQ(cpu::exponential(-100.0f), 0.0f);
  EXPECT_EQ(cpu::exponential(kInfinity), kInfinity);
  EXPECT_EQ(cpu::exponential(1000.0f), kInfinity);
  EXPECT_TRUE(std::isnan(cpu::exponential(std::nanf(""))));
}

TEST(Logarithm, IsGoodToTwoUnitsInTheLastPlace) {
  double worst = 0;
  const auto check = [&](float x) {
    const double exact = std::log(double(x));
    const double unit = exact == 0 ? 0x1p-149 : std::exp2(std::floor(std::log2(std::abs(exact))) - 23);
    worst = std::max(worst, std::abs(double(cpu::logarithm(x)) - exact) / unit);
  };
  for (double x = -87.3; x < 88.3; x += 1.7e-4) check(float(std::exp(x)));
  for (double x = 0.5; x < 2; x += 1.3e-6) check(float(x));
  for (const float x : {std::numeric_limits<float>::min(), 1.0f, std::numeric_limits<float>::max()}) check(x);
  EXPECT_LE(worst, 2);
}

TEST(SwiGlu, StaysFiniteForLargeGates) {
  const std::vector<float> gate_up{-1000, -89, 89, 1000, 1, 1, 1, 1};
  std::vector<float> y(4), dgate_up(8);
  table<float>().swiglu_forward(stream(), y.data(), gate_up.data(), 1, 4);
  for (int i = 0; i < 4; ++i) EXPECT_NEAR(y[std::size_t(i)], std::max(gate_up[std::size_t(i)], 0.0f), 1e-30);
  table<float>().swiglu_backward(stream(), dgate_up.data(), std::vector<float>(4, 1).data(), gate_up.data(), 1, 4);
  for (const float d : dgate_up) EXPECT_TRUE(std::isfinite(d));
}

/// Cosines and sines that transformers 5 (LlamaRotaryEmbedding, float32) gives. Far positions tell float from double angles.
TEST(Rope, AnglesAreThoseOfHuggingFace) {
  struct Golden {
    double theta;
    int head_size, position, index;
    float cosine, sine;
  };
  for (const Golden& g : {
           Golden{10000, 64, 0, 5, 1, 0},
           {10000, 64, 1, 1, 0.731760979f, 0.681561351f},
           {10000, 64, 511, 5, -0.223959729f, 0.974598408f},
           {10000, 64, 32767, 1, -0.182704866f, -0.983167827f},
           {10000, 64, 32767, 5, -0.43464449f, -0.900602102f},
           {10000, 64, 32767, 31, -0.336162448f, -0.941804051f},
           {5e6, 128, 4095, 1, 0.554528832f, 0.832164526f},
           {5e6, 128, 32767, 5, 0.23034738f, -0.97310847f},
           {5e6, 128, 32767, 63, 0.99996525f, 0.00833936594f},
           {10000, 48, 32767, 1, 0.966155112f, -0.257961839f},
           {10000, 48, 32767, 5, -0.971158266f, 0.238435909f},
           {10000, 48, 32767, 23, 0.096997112f, -0.995284677f},
       }) {
    const std::int32_t position = g.position;
    std::vector<float> row(std::size_t(g.head_size));
    table<bf16>().rope_table(stream(), row.data(), &position, 1, g.head_size, g.theta);
    EXPECT_NEAR(row[std::size_t(g.index)], g.cosine, 2e-7) << g.head_size << " " << g.position << " " << g.index;
    EXPECT_NEAR(row[std::size_t(g.head_size / 2 + g.index)], g.sine, 2e-7)
        << g.head_size << " " << g.position << " " << g.index;
  }
}

TEST(Rope, AnglesAreExactInDouble) {
  constexpr int kSize = 10;
  const std::vector<std::int32_t> positions{0, 3, 100000};
  std::vector<double> found(positions.size() * kSize), expected;
  table<double>().rope_table(stream(), found.data(), positions.data(), int(positions.size()), kSize, 5e5);
  for (const std::int32_t p : positions) {
    for (int i = 0; i < kSize / 2; ++i) expected.push_back(std::cos(p * std::pow(5e5, -2.0 * i / kSize)));
    for (int i = 0; i < kSize / 2; ++i) expected.push_back(std::sin(p * std::pow(5e5, -2.0 * i / kSize)));
  }
  EXPECT_LE(relative_error(found, expected), 1e-10);
}

template <typename A>
int prediction_of(const std::vector<A>& logits) {
  A nll, lse;
  std::int32_t prediction = -1;
  const std::int32_t label = 0;
  table<A>().nll_forward(stream(), &nll, &lse, &prediction, logits.data(), &label, 1, int(logits.size()));
  return prediction;
}

TEST(Nll, PredictsTheLowestIdAmongEqualMaxima) {
  std::vector<float> logits(20000, -1);
  EXPECT_EQ(prediction_of(logits), 0);
  logits[19999] = 3;
  EXPECT_EQ(prediction_of(logits), 19999);
  logits[9000] = 3;
  EXPECT_EQ(prediction_of(logits), 9000);
  logits[8999] = 3;
  EXPECT_EQ(prediction_of(logits), 8999);
  logits[17] = 3;
  EXPECT_EQ(prediction_of(logits), 17);
  EXPECT_EQ(prediction_of(std::vector<double>{2, 5, 5}), 1);
}

TEST(Nll, PredictionOfNansIsAnId) {
  const int prediction = prediction_of(std::vector<float>(7, std::nanf("")));
  EXPECT_GE(prediction, 0);
  EXPECT_LT(prediction, 7);
}

TEST(Nll, LargeLogitsAndVocabulary) {
  constexpr int kVocabulary = 131072;
  std::vector<float> logits(kVocabulary, 1e4f);
  float nll, lse;
  std::int32_t prediction;
  const std::int32_t label = 77;
  table<float>().nll_forward(stream(), &nll, &lse, &prediction, logits.data(), &label, 1, kVocabulary);
  EXPECT_NEAR(lse, 1e4 + std::log(double(kVocabulary)), 1e-3);
  EXPECT_NEAR(nll, std::log(double(kVocabulary)), 1e-3);
}

TEST(Nll, IgnoredLabelsGiveZerosAndTheGradientMayReplaceTheLogits) {
  constexpr int kVocabulary = 37;
  const auto logits = narrow<float>(random_values(3 * kVocabulary, 1));
  const std::vector<std::int32_t> labels{4, -100, 36};
  std::vector<float> nll(3), lse(3);
  std::vector<std::int32_t> prediction(3, -1);
  table<float>().nll_forward(stream(), nll.data(), lse.data(), prediction.data(), logits.data(), labels.data(), 3, kVocabulary);
  EXPECT_EQ(nll[1], 0);
  EXPECT_GE(prediction[1], 0);
  const std::vector<float> dnll{0.5f, 0.5f, -2.0f};
  std::vector<float> apart(logits.size(), 1), in_place = logits;
  table<float>().nll_backward(stream(), apart.data(), logits.data(), lse.data(), labels.data(), dnll.data(), 3, kVocabulary);
  table<float>().nll_backward(stream(), in_place.data(), in_place.data(), lse.data(), labels.data(), dnll.data(), 3,
                              kVocabulary);
  EXPECT_EQ(apart, in_place);
  for (int i = 0; i < kVocabulary; ++i) EXPECT_EQ(apart[std::size_t(kVocabulary + i)], 0);
}

/// The update as Loshchilov and Hutter write it, in double.
template <typename A>
void check_adamw(double tolerance, bool round_to_bf16) {
  constexpr std::size_t kSize = 1003;
  auto w = narrow<A>(random_values(kSize, 1));
  std::vector<A> m(kSize), v(kSize);
  std::vector<double> w_expected = widen<double>(w), m_expected(kSize), v_expected(kSize);
  const double rate = 1e-2, beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8, decay = 0.1, scale = 0.25;
  for (int t = 1; t <= 5; ++t) {
    const auto g = narrow<A>(random_values(kSize, unsigned(10 + t)));
    const double correction1 = 1 - std::pow(beta1, t), correction2 = 1 - std::pow(beta2, t);
    for (std::size_t i = 0; i < kSize; ++i) {
      const double gradient = scale * double(g[i]);
      m_expected[i] = beta1 * m_expected[i] + (1 - beta1) * gradient;
      v_expected[i] = beta2 * v_expected[i] + (1 - beta2) * gradient * gradient;
      const double step = (m_expected[i] / correction1) / (std::sqrt(v_expected[i] / correction2) + epsilon);
      w_expected[i] -= rate * decay * w_expected[i] + rate * step;
      if (round_to_bf16) w_expected[i] = double(float(bf16(float(w_expected[i]))));
    }
    table<A>().adamw(stream(), w.data(), m.data(), v.data(), g.data(), kSize,
                     {rate, beta1, beta2, epsilon, decay, correction1, correction2, scale, round_to_bf16});
  }
  EXPECT_LE(relative_error(widen<double>(w), w_expected), tolerance);
  EXPECT_LE(relative_error(widen<double>(m), m_expected), tolerance);
  EXPECT_LE(relative_error(widen<double>(v), v_expected), tolerance);
}

TEST(AdamW, AgreesWithTheFormula) {
  check_adamw<double>(1e-14, false);
  check_adamw<float>(1e-6, false);
  check_adamw<double>(1e-14, true);
}

TEST(AdamW, RoundsWeightsToBf16) {
  std::vector<float> w(100, 1.0f), m(100), v(100);
  const auto g = narrow<float>(random_values(100, 3));
  const AdamWStep step{1e-2, 0.9, 0.999, 1e-8, 0, 0.1, 0.001, 1, true};
  table<float>().adamw(stream(), w.data(), m.data(), v.data(), g.data(), w.size(), step);
  for (const float x : w) {
    EXPECT_EQ(x, float(bf16(x)));
    EXPECT_NE(x, 1.0f);
  }
}

TEST(SumOfSquares, AddsUpAndDoesNotDependOnThreads) {
  const int threads = omp_get_max_threads();
  for (const std::size_t n : {std::size_t{0}, std::size_t{1}, std::size_t{16384}, std::size_t{100003}}) {
    const auto x = narrow<float>(random_values(n, 1));
    double expected = 2;
    for (const float value : x) expected += double(value) * double(value);
    std::vector<double> sums;
    for (const int count : {1, 2, 3}) {
      omp_set_num_threads(count);
      sums.push_back(2);
      table<float>().sum_of_squares(stream(), &sums.back(), x.data(), n);
    }
    EXPECT_NEAR(sums[0], expected, 1e-12 * expected);
    EXPECT_EQ(sums[1], sums[0]);
    EXPECT_EQ(sums[2], sums[0]);
  }
  omp_set_num_threads(threads);
}

TEST(Flat, CastRoundsToNearestEvenAndAccumulateAdds) {
  std::vector<float> x{1.0f, 1.00390625f, 1.01171875f, -3e38f, 1e-40f, std::numeric_limits<float>::infinity(), std::nanf("")};
  for (const double value : random_values(1000, 1)) x.push_back(float(value));
  std::vector<bf16> y(x.size());
  table<bf16>().cast(stream(), y.data(), x.data(), x.size());
  EXPECT_EQ(float(y[0]), 1.0f);
  EXPECT_EQ(float(y[1]), 1.0f);       // halfway: to even, downwards
  EXPECT_EQ(float(y[2]), 1.015625f);  // halfway: to even, upwards
  EXPECT_EQ(float(y[5]), x[5]);
  EXPECT_TRUE(std::isnan(float(y[6])));
  for (std::size_t i = 7; i < x.size(); ++i) EXPECT_EQ(y[i].bits, bf16(x[i]).bits);
  std::vector<float> sum(x.size(), 2.0f);
  table<bf16>().accumulate(stream(), sum.data(), x.data(), x.size());
  for (std::size_t i = 7; i < x.size(); ++i) EXPECT_EQ(sum[i], 2.0f + x[i]);
}

}  // namespace
}  // namespace expunge::testing
