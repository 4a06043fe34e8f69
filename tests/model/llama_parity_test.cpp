// The model against Hugging Face's Llama: nll, predictions and gradients of the models in tests/fixtures.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <span>
#include <sstream>
#include <string>
#include <vector>

#include "io/model_folder.h"
#include "model/llama.h"
#include "support/lone_rank.h"
#include "support/nll_plan.h"

namespace expunge {
namespace {

const std::filesystem::path kFixtures = EXPUNGE_FIXTURES;

std::vector<std::vector<std::int32_t>> read_sequences(const std::filesystem::path& file) {
  std::vector<std::vector<std::int32_t>> sequences;
  std::ifstream input(file);
  for (std::string line; std::getline(input, line);) {
    std::istringstream ids(line);
    sequences.emplace_back(std::istream_iterator<std::int32_t>(ids), std::istream_iterator<std::int32_t>());
  }
  return sequences;
}

/// A model of tests/fixtures on one rank, with its sequences and what was computed for them.
template <Element T>
struct Fixture {
  explicit Fixture(const std::string& name)
      : folder(open_model(read_llama_config(kFixtures / name / "config.json"), kFixtures / name)),
        expected(kFixtures / name / "expected.safetensors"),
        config(read_llama_config(kFixtures / name / "config.json")),
        sequences(read_sequences(kFixtures / name / "tokens.txt")),
        params(rank.runtime(), llama_units(config, 1), {false, true, false}, true),
        llama(config, params, Recompute::none) {
    for (int unit = 0; unit < params.units(); ++unit)
      for (const ParameterView& view : params.layout(unit).views())
        folder.read(view.name, 0, view.size, params.master(unit).data() + view.offset);
    for (const auto& sequence : sequences) batch.append(sequence);
    params.begin_step();
  }

  /// A whole tensor of the expected results.
  std::vector<double> read(const std::string& name) const {
    std::vector<double> values(expected.info(name).elements());
    expected.read(name, 0, values.size(), values.data());
    return values;
  }
  std::size_t first_token(int s) const { return static_cast<std::size_t>(batch.offsets[static_cast<std::size_t>(s)]); }
  /// Mean nll of each sequence.
  std::vector<double> mean_nll(const std::vector<acc_t<T>>& nll) const {
    std::vector<double> means;
    for (int s = 0; s < batch.sequences(); ++s) {
      double sum = 0;
      for (std::size_t t = first_token(s); t < first_token(s + 1); ++t) sum += static_cast<double>(nll[t]);
      means.push_back(sum / batch.targets(s));
    }
    return means;
  }
  /// Weights that make the loss the mean over sequences of their mean nll.
  std::vector<double> mean_weights() const {
    std::vector<double> weights(batch.ids.size());
    for (int s = 0; s < batch.sequences(); ++s)
      for (std::size_t t = first_token(s); t + 1 < first_token(s + 1); ++t)
        weights[t] = 1.0 / (batch.targets(s) * batch.sequences());
    return weights;
  }

  LoneRank rank;
  ModelFolder folder;
  SafetensorsFile expected;
  LlamaConfig config;
  std::vector<std::vector<std::int32_t>> sequences;
  TokenBatch batch;
  ShardedParams<T> params;
  Llama<T> llama;
};

/// Squared norms of a difference and of what was expected, added up over vectors.
struct Difference {
  template <typename A>
  void add(std::span<const A> found, const std::vector<double>& wanted) {
    ASSERT_EQ(found.size(), wanted.size());
    for (std::size_t i = 0; i < wanted.size(); ++i) {
      const double difference = static_cast<double>(found[i]) - wanted[i];
      error += difference * difference;
      norm += wanted[i] * wanted[i];
    }
  }
  /// Norm of the difference over the norm expected; not a number where that is zero.
  double relative() const { return std::sqrt(error / norm); }
  double error = 0, norm = 0;
};

/// Largest relative differences of nll and of gradients that the element type allows. The expected values are float32,
/// computed in float32.
template <Element T>
constexpr double kNllTolerance = 1e-5;
template <Element T>
constexpr double kGradientTolerance = 1e-5;
/// bfloat16 keeps 8 bits. For tiny_llama, rounding the weights alone makes 0.7e-3 and 3.1e-2, and Hugging Face's model run in
/// bfloat16 is off by 1.9e-3 and 5.9e-2; no more than about that is allowed.
template <>
constexpr double kNllTolerance<bf16> = 3e-3;
template <>
constexpr double kGradientTolerance<bf16> = 6e-2;

/// nll of each target and the most likely next tokens, from whole logits (T, V) of sequence s.
struct FromLogits {
  template <Element T>
  FromLogits(const Fixture<T>& fixture, int s) {
    const std::vector<double> logits = fixture.read("logits/" + std::to_string(s));
    const auto vocabulary = static_cast<std::size_t>(fixture.config.vocab_size);
    const auto& ids = fixture.sequences[static_cast<std::size_t>(s)];
    EXPECT_EQ(logits.size(), ids.size() * vocabulary);
    for (std::size_t t = 0; t < ids.size(); ++t) {
      const auto row = std::span(logits).subspan(t * vocabulary, vocabulary);
      const auto most = std::ranges::max_element(row);
      predictions.push_back(static_cast<std::int32_t>(most - row.begin()));
      double sum = 0, first = 0, second = 0;
      for (const double logit : row) sum += std::exp(logit - *most);
      const double lse = std::log(sum) + *most;
      for (const double logit : row) {
        first += std::exp(logit - lse) * (logit - lse);
        second += std::exp(logit - lse) * (logit - lse) * (logit - lse);
      }
      mean.push_back(first);
      variance.push_back(second - first * first);
      if (t + 1 < ids.size()) nll.push_back(lse - row[static_cast<std::size_t>(ids[t + 1])]);
    }
  }
  std::vector<double> nll;                // (T - 1)
  std::vector<double> mean, variance;     // (T) of the log-probability
  std::vector<std::int32_t> predictions;  // (T)
};

template <typename T>
class ParityTest : public testing::Test {};
using ExactTypes = testing::Types<float, double>;
TYPED_TEST_SUITE(ParityTest, ExactTypes);

template <Element T>
void expect_same_scores(const std::string& name) {
  Fixture<T> fixture(name);
  const auto scores = fixture.llama.score(fixture.batch, Moments::include);
  ASSERT_EQ(scores.mean.size(), fixture.batch.ids.size());
  EXPECT_TRUE(fixture.llama.score(fixture.batch).mean.empty());
  const std::vector<double> means = fixture.mean_nll(scores.nll), expected = fixture.read("nll");
  ASSERT_EQ(means.size(), expected.size());
  for (std::size_t s = 0; s < means.size(); ++s)
    EXPECT_NEAR(means[s], expected[s], kNllTolerance<T> * expected[s]) << name << ", sequence " << s;

  int compared = 0;
  for (int s = 0; fixture.expected.has("logits/" + std::to_string(s)); ++s, ++compared) {
    const FromLogits logits(fixture, s);
    Difference difference;
    difference.add(std::span<const acc_t<T>>(scores.nll).subspan(fixture.first_token(s), logits.nll.size()), logits.nll);
    EXPECT_LE(difference.relative(), kNllTolerance<T>) << name << ", sequence " << s;
    for (const auto& [found, wanted] : {std::pair(&scores.mean, &logits.mean), std::pair(&scores.variance, &logits.variance)}) {
      Difference moment;
      moment.add(std::span<const acc_t<T>>(*found).subspan(fixture.first_token(s), wanted->size()), *wanted);
      EXPECT_LE(moment.relative(), kNllTolerance<T>) << name << ", sequence " << s;
    }
    EXPECT_TRUE(std::equal(logits.predictions.begin(), logits.predictions.end(),
                           scores.predictions.begin() + static_cast<std::ptrdiff_t>(fixture.first_token(s))))
        << name << ", sequence " << s;
  }
  EXPECT_GE(compared, 2);
}

TYPED_TEST(ParityTest, ScoresEqualThoseOfHuggingFace) {
  expect_same_scores<TypeParam>("tiny_llama");
  expect_same_scores<TypeParam>("tiny_llama_tied");
}

/// Scores are made in chunks of at most 1024 tokens; a sequence's do not depend on the chunk they fall into.
TYPED_TEST(ParityTest, ScoresDoNotDependOnTheChunk) {
  Fixture<TypeParam> fixture("tiny_llama");
  const auto expected = fixture.llama.score(fixture.batch, Moments::include);
  const auto n = fixture.batch.ids.size();
  TokenBatch batch;
  std::size_t copies = 0;
  for (; batch.ids.size() <= 2500; ++copies)
    for (const auto& sequence : fixture.sequences) batch.append(sequence);
  const auto scores = fixture.llama.score(batch, Moments::include);
  for (const auto part : {&TokenScores<TypeParam>::nll, &TokenScores<TypeParam>::mean, &TokenScores<TypeParam>::variance}) {
    ASSERT_EQ((scores.*part).size(), copies * n);
    for (std::size_t t = 0; t < copies * n; ++t)
      ASSERT_NEAR((scores.*part)[t], (expected.*part)[t % n], 1e-4 * std::abs((expected.*part)[t % n]) + 1e-6) << t;
  }
}

template <Element T>
void expect_same_gradients(const std::string& name) {
  Fixture<T> fixture(name);
  (void)fixture.llama.forward_backward(fixture.batch, nll_plan<T>(fixture.batch, fixture.mean_weights()));
  fixture.params.finish_gradients();
  Difference whole;
  for (int unit = 0; unit < fixture.params.units(); ++unit) {
    for (const ParameterView& view : fixture.params.layout(unit).views()) {
      const std::span<const acc_t<T>> found = fixture.params.gradient(unit).subspan(view.offset, view.size);
      const std::vector<double> wanted = fixture.read("grad/" + view.name);
      whole.add(found, wanted);
      if (std::is_same_v<T, bf16>) continue;  // in bfloat16 as a whole: a small gradient may be a difference of large ones
      Difference difference;
      difference.add(found, wanted);
      EXPECT_LE(difference.relative(), kGradientTolerance<T>) << name << ", " << view.name;
    }
  }
  EXPECT_LE(whole.relative(), kGradientTolerance<T>) << name;
}

TYPED_TEST(ParityTest, GradientsEqualThoseOfHuggingFace) {
  expect_same_gradients<TypeParam>("tiny_llama");
  expect_same_gradients<TypeParam>("tiny_llama_tied");
}

TEST(ParityInBfloat16, MeanNllAndGradientsAreNear) {
  for (const std::string name : {"tiny_llama", "tiny_llama_tied"}) {
    Fixture<bf16> fixture(name);
    const std::vector<double> means = fixture.mean_nll(fixture.llama.score(fixture.batch).nll);
    Difference difference;
    difference.add(std::span<const double>(means), fixture.read("nll"));
    EXPECT_LE(difference.relative(), kNllTolerance<bf16>) << name;
    expect_same_gradients<bf16>(name);
  }
}

}  // namespace
}  // namespace expunge
