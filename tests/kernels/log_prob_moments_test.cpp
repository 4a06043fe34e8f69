// Moments of the log-probability against their definition, and on rows where a one-pass formula loses its digits.
#include "testing.h"

namespace expunge::testing {
namespace {

struct Moments {
  double mean, variance;
};

template <typename A>
Moments moments_of(const std::vector<A>& logits) {
  A nll, lse, mean, variance;
  std::int32_t prediction;
  const std::int32_t label = -1;
  const int vocabulary = int(logits.size());
  table<A>().nll_forward(stream(), &nll, &lse, &prediction, logits.data(), &label, 1, vocabulary);
  table<A>().log_prob_moments(stream(), &mean, &variance, logits.data(), &lse, 1, vocabulary);
  return {double(mean), double(variance)};
}

/// Two passes in long double.
template <typename A>
Moments expected_of(const std::vector<A>& logits) {
  long double total = 0, mean = 0, variance = 0;
  for (const A x : logits) total += std::exp((long double)(x));
  const auto log_p = [&](A x) { return (long double)(x)-std::log(total); };
  for (const A x : logits) mean += std::exp(log_p(x)) * log_p(x);
  for (const A x : logits) variance += std::exp(log_p(x)) * (log_p(x) - mean) * (log_p(x) - mean);
  return {double(mean), double(variance)};
}

TEST(LogProbMoments, AgreeWithTheirDefinition) {
  for (const std::size_t vocabulary : {1, 2, 37, 1023, 1024, 1025, 50257}) {
    const auto logits = random_values(vocabulary, unsigned(vocabulary));
    const Moments expected = expected_of(logits), found = moments_of(logits);
    EXPECT_NEAR(found.mean, expected.mean, 1e-12) << vocabulary;
    EXPECT_NEAR(found.variance, expected.variance, 1e-12) << vocabulary;
    const auto narrow_logits = narrow<float>(logits);
    const Moments narrow_expected = expected_of(narrow_logits), narrow_found = moments_of(narrow_logits);
    EXPECT_NEAR(narrow_found.mean, narrow_expected.mean, 1e-5) << vocabulary;
    EXPECT_NEAR(narrow_found.variance, narrow_expected.variance, 1e-5) << vocabulary;
  }
}

TEST(LogProbMoments, OfRowsThatAreNearlyUniform) {
  constexpr std::size_t kVocabulary = 131072;
  const Moments uniform = moments_of(std::vector<float>(kVocabulary, 3.0f));
  EXPECT_NEAR(uniform.mean, -std::log(double(kVocabulary)), 1e-4);
  EXPECT_GE(uniform.variance, 0);
  EXPECT_LE(uniform.variance, 1e-8);
  std::vector<float> nearly(kVocabulary);
  for (std::size_t i = 0; i < kVocabulary; ++i) nearly[i] = i % 2 ? 0x1p-10f : 0.0f;
  EXPECT_NEAR(moments_of(nearly).variance, 0x1p-22, 1e-3 * 0x1p-22);
}

TEST(LogProbMoments, OfRowsOfOneLikelyToken) {
  for (const std::size_t likely : {0, 1500, 2999}) {
    std::vector<float> logits(3000, 0.0f);
    logits[likely] = 500;
    const Moments certain = moments_of(logits);
    EXPECT_EQ(certain.mean, 0) << likely;
    EXPECT_EQ(certain.variance, 0) << likely;
    logits[likely] = 20;
    const Moments found = moments_of(logits), expected = expected_of(logits);
    EXPECT_NEAR(found.mean, expected.mean, 2e-5) << likely;  // lse is 20, rounded to float
    EXPECT_NEAR(found.variance, expected.variance, 1e-4 * expected.variance) << likely;
  }
}

TEST(LogProbMoments, OfSeveralRows) {
  constexpr int kVocabulary = 5;
  const auto logits = random_values(2 * kVocabulary, 1);
  const std::vector<std::int32_t> labels{-1, -1};
  std::vector<double> nll(2), lse(2), mean(2), variance(2);
  std::vector<std::int32_t> prediction(2);
  table<double>().nll_forward(stream(), nll.data(), lse.data(), prediction.data(), logits.data(), labels.data(), 2,
                              kVocabulary);
  table<double>().log_prob_moments(stream(), mean.data(), variance.data(), logits.data(), lse.data(), 2, kVocabulary);
  const Moments second = moments_of(std::vector<double>(logits.begin() + kVocabulary, logits.end()));
  EXPECT_EQ(mean[1], second.mean);
  EXPECT_EQ(variance[1], second.variance);
  table<double>().log_prob_moments(stream(), nullptr, nullptr, nullptr, nullptr, 0, kVocabulary);
}

}  // namespace
}  // namespace expunge::testing
