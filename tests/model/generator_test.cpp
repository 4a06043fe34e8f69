// Generation with a cache against scoring passes over the whole text so far.
#include "model/generator.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <string>

#include "core/random.h"
#include "io/model_folder.h"
#include "support/lone_rank.h"

namespace expunge {
namespace {

/// A model of tests/fixtures on one rank.
template <Element T>
struct PromptedModel {
  explicit PromptedModel(const std::string& name)
      : folder(std::filesystem::path(EXPUNGE_FIXTURES) / name),
        config(read_llama_config(folder.path() / "config.json")),
        params(rank.runtime(), llama_units(config, 1), {false, true, false}, false),
        llama(config, params, Recompute::none) {
    for (int unit = 0; unit < params.units(); ++unit)
      for (const ParameterView& view : params.layout(unit).views()) {
        std::vector<acc_t<T>> values(view.size);
        folder.read(view.name, 0, view.size, values.data());
        params.load(unit, view.offset, values);
      }
  }
  LoneRank rank;
  ModelFolder folder;
  LlamaConfig config;
  ShardedParams<T> params;
  Llama<T> llama;
};

using Ids = std::vector<std::int32_t>;

Ids prompt(int length, int vocabulary) {
  Ids ids(static_cast<std::size_t>(length));
  for (std::size_t t = 0; t < ids.size(); ++t)
    ids[t] = static_cast<std::int32_t>(random_below(3, ids.size(), t, static_cast<std::uint64_t>(vocabulary)));
  return ids;
}

double uniform_of(std::size_t sequence, std::size_t position) { return random_uniform(5, sequence, position); }

/// Continues prompts in one batch; sequence s is left out of the passes once it has 3 + 4 s tokens.
template <Element T>
struct Continued {
  Continued(PromptedModel<T>& fixture, const std::vector<Ids>& prompts, const LabelSampling& sampling)
      : ids(prompts), nll(prompts.size()) {
    std::vector<typename Generator<T>::Opening> openings;
    int rows = 0, tokens = 0;
    for (std::size_t s = 0; s < prompts.size(); ++s) {
      const int length = static_cast<int>(prompts[s].size()), room = length + static_cast<int>(steps(s));
      openings.push_back({prompts[s], room, uniform_of(s, 0)});
      rows += room;
      tokens += length;
    }
    Generator<T> generator(fixture.llama, static_cast<int>(prompts.size()), rows, tokens, sampling);
    auto drawn = generator.begin(openings);
    std::vector<std::size_t> open(prompts.size());
    for (std::size_t s = 0; s < open.size(); ++s) open[s] = s;
    while (!open.empty()) {
      std::vector<std::size_t> still;
      std::vector<typename Generator<T>::Step> next;
      for (std::size_t i = 0; i < open.size(); ++i) {
        const std::size_t s = open[i];
        ids[s].push_back(drawn[i].id);
        nll[s].push_back(drawn[i].nll);
        if (nll[s].size() == steps(s)) continue;
        still.push_back(s);
        next.push_back({static_cast<int>(s), drawn[i].id, uniform_of(s, nll[s].size())});
      }
      open = still;
      drawn = generator.next(next);
    }
  }
  static std::size_t steps(std::size_t s) { return 3 + 4 * s; }
  std::vector<Ids> ids;                  // prompt and continuation
  std::vector<std::vector<double>> nll;  // of the continuation
};

template <Element T>
constexpr double kTolerance = 1e-12;
template <>
constexpr double kTolerance<float> = 1e-5;

template <typename T>
class GeneratorTest : public testing::Test {};
using Types = testing::Types<float, double>;
TYPED_TEST_SUITE(GeneratorTest, Types);

constexpr LabelSampling kGreedy{1, 1, 131};

/// Every step of a greedy generation is the arg-max of a scoring pass over the text up to there.
TYPED_TEST(GeneratorTest, GreedyIdsAreThoseOfFullRecomputation) {
  for (const std::string name : {"tiny_llama", "tiny_llama_tied"}) {
    PromptedModel<TypeParam> fixture(name);
    const int vocabulary = fixture.config.vocab_size;
    const LabelSampling greedy{1, 1, vocabulary};
    const Continued<TypeParam> found(
        fixture, {prompt(1, vocabulary), prompt(17, vocabulary), prompt(64, vocabulary), prompt(5, vocabulary)}, greedy);
    for (std::size_t s = 0; s < found.ids.size(); ++s) {
      const std::size_t first = found.ids[s].size() - found.nll[s].size();
      for (std::size_t t = first; t < found.ids[s].size(); ++t) {
        TokenBatch batch;
        batch.append(std::span(found.ids[s]).first(t));
        EXPECT_EQ(found.ids[s][t], fixture.llama.score(batch).predictions.back())
            << name << ", sequence " << s << ", token " << t;
      }
    }
  }
}

/// Tokens drawn at random test another logit and the log-sum-exp at every step.
TYPED_TEST(GeneratorTest, DrawnTokensHaveTheScoringPassNll) {
  for (const std::string name : {"tiny_llama", "tiny_llama_tied"}) {
    PromptedModel<TypeParam> fixture(name);
    const int vocabulary = fixture.config.vocab_size;
    const Continued<TypeParam> found(
        fixture, {prompt(2, vocabulary), prompt(33, vocabulary), prompt(1, vocabulary), prompt(90, vocabulary)},
        {0, 1, vocabulary, 3});
    TokenBatch batch;
    for (const Ids& ids : found.ids) batch.append(ids);
    const auto scores = fixture.llama.score(batch);
    for (std::size_t s = 0; s < found.ids.size(); ++s) {
      const std::size_t end = static_cast<std::size_t>(batch.offsets[s + 1]) - 1, begin = end - found.nll[s].size();
      for (std::size_t t = 0; t < found.nll[s].size(); ++t) {
        const auto expected = static_cast<double>(scores.nll[begin + t]);
        EXPECT_NEAR(found.nll[s][t], expected, kTolerance<TypeParam> * (1 + expected))
            << name << ", sequence " << s << ", token " << t;
      }
    }
  }
}

TYPED_TEST(GeneratorTest, DrawsDoNotDependOnTheBatch) {
  PromptedModel<TypeParam> fixture("tiny_llama");
  const LabelSampling sampling{20, 0.9, fixture.config.vocab_size, 1.3};
  const std::vector<Ids> prompts{prompt(7, fixture.config.vocab_size), prompt(30, fixture.config.vocab_size)};
  const Continued<TypeParam> both(fixture, prompts, sampling), alone(fixture, {prompts[0]}, sampling);
  EXPECT_EQ(both.ids[0], alone.ids[0]);
}

TEST(GeneratorTest, SaysWhenLogitsAreNoNumbers) {
  PromptedModel<float> fixture("tiny_llama");
  fixture.params.load(1, 7, std::vector{std::numeric_limits<float>::quiet_NaN()});
  for (const LabelSampling& sampling : {kGreedy, LabelSampling{0, 1, 131}}) {
    Generator<float> generator(fixture.llama, 1, 4, 3, sampling);
    const Ids ids = prompt(3, 131);
    const std::vector<Generator<float>::Opening> openings{{ids, 4, 0.5}};
    EXPECT_TRUE(std::isnan(generator.begin(openings).at(0).nll));
  }
}

TEST(GeneratorTest, InBfloat16IsNearFloat) {
  PromptedModel<float> exact("tiny_llama");
  PromptedModel<bf16> rounded("tiny_llama");
  const std::vector<Ids> prompts{prompt(40, exact.config.vocab_size)};
  const Continued<bf16> found(rounded, prompts, {0, 1, exact.config.vocab_size, 3});
  TokenBatch batch;
  batch.append(found.ids[0]);
  const auto scores = exact.llama.score(batch);
  for (std::size_t t = 0; t < found.nll[0].size(); ++t) {
    const auto expected = static_cast<double>(scores.nll[prompts[0].size() - 1 + t]);
    EXPECT_NEAR(found.nll[0][t], expected, 0.1 * (1 + expected));
  }
}

}  // namespace
}  // namespace expunge
