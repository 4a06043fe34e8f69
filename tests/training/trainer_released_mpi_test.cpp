// The study's seven methods against its released code: gradients, losses and updates on tests/fixtures/released, and the
// released trainer's arithmetic of steps. How the numbers were made: tests/fixtures/make_released_fixtures.py.
#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <optional>

#include "run/options.h"
#include "store/weights.h"
#include "support/mpi_session.h"
#include "training/drawn_labels.h"
#include "training/trainer.h"

namespace expunge {
namespace {

const std::filesystem::path kReleased = std::filesystem::path(EXPUNGE_FIXTURES) / "released";

Hdf5File expected() { return Hdf5File::open(kReleased / "expected.h5"); }

RunOptions config_of(const Hdf5File& file, const std::string& group) {
  RunOptions config;
  config.command = "unlearn";
  config.input.domain = "study";
  config.released = true;
  config.schedule.learning_rate = file.read_attribute<double>(group, "learning_rate");
  config.schedule.type = ScheduleType::constant;
  config.schedule.max_steps = static_cast<std::int64_t>(file.read_attribute<std::uint64_t>(group, "steps"));
  config.batch.accumulation = static_cast<std::int64_t>(file.read_attribute<std::uint64_t>(group, "accumulation"));
  config.batch.global = config.batch.accumulation;
  config.optimizer.weight_decay = file.read_attribute<double>(group, "weight_decay");
  config.optimizer.max_grad_norm = file.read_attribute<double>(group, "max_grad_norm");
  config.optimizer.beta1 = file.read_attribute<double>(group, "beta1");
  config.optimizer.beta2 = file.read_attribute<double>(group, "beta2");
  config.optimizer.epsilon = file.read_attribute<double>(group, "epsilon");
  config.samples.retain.positive_ratio =
      std::max<std::int64_t>(1, static_cast<std::int64_t>(file.read_attribute<std::uint64_t>(group, "positive_ratio")));
  if (const double factor = file.read_attribute<double>(group, "positive_factor"); factor > 0)
    config.method.given["positive-factor"] = factor;
  return config;
}

/// ||found - stored|| / ||stored|| over all parameters, from this rank's shards. With `base` of what was added to it.
template <typename Shards>
double relative_error(const std::vector<UnitLayout>& units, const Hdf5File& file, const std::string& group, const Shards& found,
                      const Shards* base) {
  double sums[2] = {0, 0};
  for (std::size_t u = 0; u < units.size(); ++u) {
    for (const ParameterSlice& slice : units[u].slices(test_runtime().comm.rank())) {
      std::vector<float> stored(slice.count);
      file.read<float>(group + "/" + slice.view->name, slice.first, stored);
      for (std::size_t i = 0; i < slice.count; ++i) {
        const double from = base ? (*base)[u][slice.offset + i] : 0;
        const double expected = static_cast<double>(stored[i]) - from, mine = found[u][slice.offset + i] - from;
        sums[0] += (mine - expected) * (mine - expected);
        sums[1] += expected * expected;
      }
    }
  }
  all_reduce(test_runtime(), sums, Reduce::sum);
  return std::sqrt(sums[0] / sums[1]);
}

using Shards = std::vector<std::vector<double>>;

template <typename Spans>
Shards copy(ShardedParams<float>& params, Spans spans) {
  Shards shards;
  for (int unit = 0; unit < params.units(); ++unit) {
    const auto span = spans(unit);
    shards.emplace_back(span.begin(), span.end());
  }
  return shards;
}

class ReleasedTest : public testing::TestWithParam<std::pair<const char*, const char*>> {};

TEST_P(ReleasedTest, GradientsLossesAndUpdateAreThoseOfTheReleasedCode) {
  const auto [name, method] = GetParam();
  const Hdf5File file = expected();
  const std::string group = std::string("/methods/") + name;
  RunOptions config = config_of(file, group);
  config.method.name = method;
  const auto objective = make_objective(config.method, {config.released, 16});

  const TokenFile tokens(kReleased / file.read_attribute<std::string>(group, "tokens"));
  std::vector<RoleSplit> sources;
  for (const Term& term : objective->terms())
    sources.push_back({file.read_attribute<std::string>(group, term.role == Role::forget ? "forget" : "retain"), term.role});
  const auto used = file.read_all<std::uint64_t>(group + "/order");
  if (find_method(method).mixes) {
    config.samples.shuffle = false;  // the interleaved list is the order
  } else {
    config.samples.order = testing::TempDir() + "released_order_" + std::to_string(test_runtime().comm.rank());
    std::ofstream order(config.samples.order);
    for (const std::uint64_t item : used) order << item << '\n';
  }
  const WeightsSource source = locate_model(test_runtime(), kReleased / "model");
  TrainingData data(tokens, sources, config.samples, source.config.vocab_size);
  if (const auto labels = file.read_attribute<std::string>(group, "labels"); !labels.empty())
    data.set_labels(0, read_labels(kReleased / labels, "study/forget", data.split(0), source.config.vocab_size).value());

  const std::vector<UnitLayout> units = llama_units(source.config, test_runtime().comm.size());
  ShardedParams<float> params(test_runtime(), units, {false, true, false}, true),
      reference_params(test_runtime(), units, {false, true, false}, false);
  load_weights(source, 0, false, params);
  load_weights(source, 0, false, reference_params);
  Llama<float> model(source.config, params, Recompute::none), reference(source.config, reference_params, Recompute::none);
  Optimizer<float> optimizer(params, config.optimizer);
  Trainer<float> trainer(RunLength(config.schedule, config.batch, true, data.items()), {config.schedule, config.batch}, model,
                         optimizer, {*objective, data, &reference});
  const Shards initial = copy(params, [&](int unit) { return params.master(unit); });
  const Shards* const none = nullptr;

  const auto losses = file.read_all<double>(group + "/objective");
  const auto norms = file.read_all<double>(group + "/gradient_norms");
  for (std::size_t step = 0; step < losses.size(); ++step) {
    const StepMetrics metrics = trainer.step().value();
    // Losses of the mixed methods are differences that come near zero, hence absolute below 1.
    EXPECT_NEAR(metrics.loss, losses[step], 1e-4 * std::max(1.0, std::abs(losses[step]))) << "step " << step;
    EXPECT_NEAR(metrics.grad_norm, norms[step], 1e-3 * norms[step]) << "step " << step;
    if (step == 0) {
      const Shards gradient = copy(params, [&](int unit) { return params.gradient(unit); });
      EXPECT_LE(relative_error(units, file, group + "/gradient", gradient, none), 1e-5);
    }
  }
  const Shards weights = copy(params, [&](int unit) { return params.master(unit); });
  // 1e-2 would let the reverse KL through.
  EXPECT_LE(relative_error(units, file, group + "/weights", weights, &initial), 1e-3);
  EXPECT_NEAR(relative_error(units, file, group + "/weights", initial, &initial), 1, 1e-12) << "with no step taken";
}

INSTANTIATE_TEST_SUITE_P(Study, ReleasedTest,
                         testing::Values(std::pair("gradient_ascent", "gradient_ascent"),
                                         std::pair("random_label_completely_random", "random_label"),
                                         std::pair("random_label_adversarial", "random_label"),
                                         std::pair("ascent_plus_descent", "ascent_plus_descent"),
                                         std::pair("ascent_plus_descent_general", "ascent_plus_descent"),
                                         std::pair("ascent_plus_kl_divergence", "ascent_plus_kl_divergence"),
                                         std::pair("ascent_plus_kl_divergence_general", "ascent_plus_kl_divergence")),
                         [](const auto& test) { return std::string(test.param.first); });

struct Sampler {
  Sampler()
      : source(locate_model(test_runtime(), kReleased / "model")),
        params(test_runtime(), llama_units(source.config, test_runtime().comm.size()), {false, true, false}, false),
        model(source.config, params, Recompute::none) {
    load_weights(source, 0, false, params);
  }
  Labels draw(const TokenSplit& split, LabelOptions labels, bool released, std::uint64_t seed, std::size_t batch = 2) {
    return draw_model_labels(model, split, labels, released, seed, {batch, 0, 0});
  }
  WeightsSource source;
  ShardedParams<float> params;
  Llama<float> model;
};

TEST(ReleasedLabels, AdversarialLabelsAreThoseOfTheReleasedSampler) {
  Sampler sampler;
  const TokenSplit split = TokenFile(kReleased / "tokens_varying.h5").split("study/forget", 53);
  const Labels expected = read_labels(kReleased / "labels_adversarial.h5", "study/forget", split, 53).value();
  const Labels released = sampler.draw(split, {.top_k = 1, .rm_groundtruth = true}, true, 42);
  const Labels paper = sampler.draw(split, {.top_k = 1, .rm_groundtruth = true}, false, 42);
  std::size_t agree = 0;
  for (std::size_t s = 0; s < split.sequences(); ++s)
    for (std::size_t t = 1; t < split.length(s); ++t) {
      const std::size_t at = split.offsets()[s] + t;
      EXPECT_EQ(released[at], expected[at]) << "sequence " << s << " position " << t;
      agree += paper[at] == expected[at];
      EXPECT_NE(paper[at], split.ids(s)[t]);
    }
  EXPECT_LT(agree, split.tokens() / 2);  // the paper's alignment is another
}

TEST(ReleasedLabels, AreDrawnFromTheFilteredDistribution) {
  Sampler sampler;
  const TokenSplit whole = TokenFile(kReleased / "tokens_varying.h5").split("study/forget", 53);
  // One sequence many times: a draw differs by its seed and by the number of its sequence.
  constexpr int kSeeds = 20, kCopies = 100, kDraws = kSeeds * kCopies;
  const std::size_t length = whole.length(0);
  std::vector<std::int32_t> ids;
  std::vector<std::uint64_t> offsets{0};
  for (int copy = 0; copy < kCopies; ++copy) {
    ids.insert(ids.end(), whole.ids(0).begin(), whole.ids(0).end());
    offsets.push_back(ids.size());
  }
  const TokenSplit split(std::move(ids), std::move(offsets));
  const Hdf5File file = expected();
  for (const std::string& name : file.children("/samplers")) {
    const std::string group = "/samplers/" + name;
    const LabelOptions labels{.top_k = static_cast<std::int64_t>(file.read_attribute<std::uint64_t>(group, "top_k")),
                              .top_p = file.read_attribute<double>(group, "top_p"),
                              .rm_groundtruth = file.read_attribute<std::uint64_t>(group, "rm_groundtruth") != 0};
    const auto probabilities = file.read_all<float>(group + "/probabilities");
    std::vector<double> counts(length * 53);
    for (std::uint64_t seed = 0; seed < kSeeds; ++seed) {
      const Labels drawn = sampler.draw(split, labels, true, seed, 25);
      for (std::size_t at = 0; at < drawn.size(); ++at) counts[at % length * 53 + static_cast<std::size_t>(drawn[at])] += 1;
    }
    for (std::size_t t = 0; t < length; ++t) {
      for (std::size_t v = 0; v < 53; ++v) {
        const double p = static_cast<double>(probabilities[t * 53 + v]);
        const double five_sigma = 5 * std::sqrt(p * (1 - p) / kDraws);
        EXPECT_NEAR(counts[t * 53 + v] / kDraws, p, five_sigma + 1e-9) << name << " position " << t << " id " << v;
      }
    }
  }
}

TEST(UniformLabels, AreUniformAndKeepSpecialIds) {
  std::vector<std::int32_t> ids(20000, 7);
  ids[5] = 1;
  const TokenSplit split(std::move(ids), {0, 20000});
  const Labels labels = draw_uniform_labels(split, 42, 20, {1});
  EXPECT_EQ(labels[5], 1);
  std::vector<double> counts(20);
  for (const std::int32_t label : labels) counts[static_cast<std::size_t>(label)] += 1;
  double chi_square = 0;
  for (const double count : counts) chi_square += (count - 1000) * (count - 1000) / 1000;
  EXPECT_LT(chi_square, 43.8);  // 19 degrees of freedom, p = 0.001
  EXPECT_NE(labels, draw_uniform_labels(split, 43, 20, {1}));
}

TEST(ReleasedTrainer, StepsHoldTheMicroBatchesOfTransformers436) {
  const Hdf5File file = expected();
  for (const std::string& name : file.children("/trainer")) {
    const std::string group = "/trainer/" + name;
    RunOptions config;
    config.released = true;
    config.batch.accumulation = static_cast<std::int64_t>(file.read_attribute<std::uint64_t>(group, "accumulation"));
    config.batch.global = config.batch.accumulation;
    config.schedule.num_train_epochs = file.read_attribute<double>(group, "epochs");
    const RunLength length(config.schedule, config.batch, config.released,
                           file.read_attribute<std::uint64_t>(group, "sequences"));
    std::vector<std::int32_t> sizes;
    for (std::int64_t step = 0; step < length.steps; ++step)
      sizes.push_back(static_cast<std::int32_t>(length.samples_after(step + 1) - length.samples_after(step)));
    EXPECT_EQ(sizes, file.read_all<std::int32_t>(group + "/micro_batches")) << name;
  }
}

TEST(ReleasedTrainer, AnEpochIsFilledUpToWholeRoundsFromItsBeginning) {
  RunOptions config;
  config.released = true;
  config.batch.per_device = 4;
  config.batch.accumulation = 1;
  config.batch.global = 4;
  config.schedule.num_train_epochs = 2;
  const RunLength length(config.schedule, config.batch, config.released, 10);
  EXPECT_EQ(length.steps, 6);
  std::vector<std::uint64_t> places;
  for (std::int64_t p = 8; p < 14; ++p) places.push_back(length.place(p));
  EXPECT_EQ(places, (std::vector<std::uint64_t>{8, 9, 0, 1, 10, 11}));
}

}  // namespace
}  // namespace expunge
