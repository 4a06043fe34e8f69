// AdamW with clipping against PyTorch's: 20 steps of descent and ascent from the model in tests/fixtures/tiny_llama.
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <sstream>
#include <string>
#include <vector>

#include "io/json.h"
#include "model/llama.h"
#include "run/options.h"
#include "store/weights.h"
#include "support/lone_rank.h"
#include "support/nll_plan.h"
#include "training/optimizer.h"

namespace expunge {
namespace {

const std::filesystem::path kFolder = std::filesystem::path(EXPUNGE_FIXTURES) / "tiny_llama";
constexpr int kSteps = 20, kSequencesPerStep = 4;
constexpr double kLearningRate = 1e-3;

OptimizerOptions adamw_settings() {
  OptimizerOptions config;
  config.weight_decay = 0.1;
  config.max_grad_norm = 1;
  config.beta1 = 0.9;
  config.beta2 = 0.999;
  config.epsilon = 1e-8;
  return config;
}

/// The micro-batch of each step: four sequences, in file order and over again.
std::vector<TokenBatch> batches_of_steps() {
  std::vector<std::vector<std::int32_t>> sequences;
  std::ifstream file(kFolder / "tokens.txt");
  for (std::string line; std::getline(file, line);) {
    std::istringstream ids(line);
    sequences.emplace_back(std::istream_iterator<std::int32_t>(ids), std::istream_iterator<std::int32_t>());
  }
  std::vector<TokenBatch> batches(kSteps);
  std::size_t next = 0;
  for (TokenBatch& batch : batches)
    while (batch.sequences() < kSequencesPerStep) batch.append(sequences.at(next++ % sequences.size()));
  return batches;
}

/// The weight of each target in the mean over sequences of their mean nll.
std::vector<double> mean_weights(const TokenBatch& batch) {
  std::vector<double> weights(batch.ids.size());
  for (int s = 0; s < batch.sequences(); ++s)
    for (int t = 0; t < batch.targets(s); ++t)
      weights[static_cast<std::size_t>(batch.offsets[static_cast<std::size_t>(s)] + t)] =
          1.0 / (batch.targets(s) * batch.sequences());
  return weights;
}

/// tiny_llama on one rank, and the weights it started from.
template <Element T>
struct Training {
  using A = acc_t<T>;
  Training()
      : source(locate_model(rank.runtime(), kFolder)),
        params(rank.runtime(), llama_units(source.config, 1), {false, true, false}, true),
        llama(source.config, params, Recompute::none),
        optimizer(params, adamw_settings()) {
    load_weights(source, 0, false, params);
    for (int unit = 0; unit < params.units(); ++unit)
      initial.emplace_back(params.master(unit).begin(), params.master(unit).end());
  }

  /// One step on `sign` times the loss; the loss before it.
  double step(const TokenBatch& batch, double sign) {
    const std::vector<double> mean = mean_weights(batch);
    std::vector<double> weights = mean;
    for (double& weight : weights) weight *= sign;
    params.begin_step();
    params.last_micro_batch();
    const auto scores = llama.forward_backward(batch, nll_plan<T>(batch, weights));
    params.finish_gradients();
    optimizer.step(kLearningRate, optimizer.gradient_norm());
    double loss = 0;
    for (std::size_t t = 0; t < mean.size(); ++t) loss += mean[t] * static_cast<double>(scores.nll[t]);
    return loss;
  }

  /// Relative error of the whole change of the weights: norm of the difference from `expected`'s over the norm of that.
  double update_error(const SafetensorsFile& expected, const std::string& prefix) {
    double error = 0, norm = 0;
    for (int unit = 0; unit < params.units(); ++unit) {
      for (const ParameterView& view : params.layout(unit).views()) {
        std::vector<double> wanted(view.size);
        expected.read(prefix + "/" + view.name, 0, view.size, wanted.data());
        for (std::size_t i = 0; i < view.size; ++i) {
          const auto start = static_cast<double>(initial[static_cast<std::size_t>(unit)][view.offset + i]);
          const double change = wanted[i] - start;
          const double difference = static_cast<double>(params.master(unit)[view.offset + i]) - start - change;
          error += difference * difference;
          norm += change * change;
        }
      }
    }
    EXPECT_GT(norm, 0);
    return std::sqrt(error / norm);
  }

  LoneRank rank;
  WeightsSource source;
  ShardedParams<T> params;
  Llama<T> llama;
  Optimizer<T> optimizer;
  std::vector<std::vector<A>> initial;
};

struct Direction {
  std::string name;
  double sign;
};

class AdamWParityTest : public testing::TestWithParam<Direction> {
 protected:
  /// Takes the 20 steps, comparing each loss.
  template <Element T>
  void expect_same_run(const std::string& losses_name, double loss_tolerance, double update_tolerance) {
    const auto losses = parse_json_file(kFolder / "losses.json", 1 << 20).at(losses_name).template get<std::vector<double>>();
    ASSERT_EQ(losses.size(), static_cast<std::size_t>(kSteps));
    const SafetensorsFile expected(kFolder / "expected.safetensors");
    const std::string prefix = GetParam().name + "20";
    Training<T> training;
    EXPECT_DOUBLE_EQ(training.update_error(expected, prefix), 1) << "no step taken must not pass";
    const std::vector<TokenBatch> batches = batches_of_steps();
    for (std::size_t step = 0; step < losses.size(); ++step) {
      const double loss = training.step(batches[step], GetParam().sign);
      EXPECT_NEAR(loss, losses[step], loss_tolerance * losses[step]) << "step " << step;
    }
    EXPECT_LE(training.update_error(expected, prefix), update_tolerance);
  }
};

TEST_P(AdamWParityTest, RunInFloatEqualsPyTorch) { expect_same_run<float>(GetParam().name, 1e-4, 1e-2); }

/// The same arithmetic in float64 on both sides: 20 steps stay together to 1e-10. The weights to compare with are float32's.
TEST_P(AdamWParityTest, RunInDoubleEqualsPyTorch) { expect_same_run<double>(GetParam().name + "_float64", 1e-10, 1e-2); }

INSTANTIATE_TEST_SUITE_P(Directions, AdamWParityTest, testing::Values(Direction{"descent", 1}, Direction{"ascent", -1}),
                         [](const auto& chosen) { return chosen.param.name; });

}  // namespace
}  // namespace expunge
