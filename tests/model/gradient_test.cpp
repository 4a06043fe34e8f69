// The whole model's gradients: against the complex step, and unchanged by recomputation and packing.
#include <gtest/gtest.h>

#include <cmath>
#include <complex>

#include "expunge/comm/communicator.h"
#include "expunge/core/random.h"
#include "fsdp/sharded_params_impl.h"
#include "kernels/cpu/cpu_kernels.h"
#include "model/llama_impl.h"
#include "support/lone_rank.h"
#include "support/small_llama.h"

namespace expunge {

// The complex element type exists in tests alone.
template <>
const Kernels<std::complex<double>>& kernels<std::complex<double>>(Device) {
  return cpu::kKernels<std::complex<double>>;
}

namespace {

using Complex = std::complex<double>;

LlamaConfig small_config(bool tied) { return small_llama(31, tied); }

/// Sequences of lengths 1, 7, 100 (across attention blocks) and 2.
TokenBatch batch_of(const LlamaConfig& config) {
  TokenBatch batch;
  std::uint64_t counter = 0;
  for (const int length : {1, 7, 100, 2}) {
    std::vector<std::int32_t> ids;
    for (int t = 0; t < length; ++t)
      ids.push_back(static_cast<std::int32_t>(random_below(1, 2, counter++, static_cast<std::uint64_t>(config.vocab_size))));
    batch.append(ids);
  }
  return batch;
}

std::vector<double> weights_of(const TokenBatch& batch) {
  std::vector<double> weights(batch.ids.size());
  for (std::size_t t = 0; t < weights.size(); ++t) weights[t] = random_normal(3, 4, t);
  return weights;
}

/// A model on one rank, with the same weights whatever its element type.
template <Element T>
struct Model {
  Model(const LlamaConfig& config, Recompute recompute)
      : params(rank.runtime(), llama_units(config, 1), {false, true, false}, true), llama(config, params, recompute) {
    for (int unit = 0; unit < params.units(); ++unit)
      for (std::size_t i = 0; i < params.master(unit).size(); ++i)
        params.master(unit)[i] = static_cast<acc_t<T>>(0.3 * random_normal(5, static_cast<std::uint64_t>(unit), i));
    params.begin_step();
  }
  LoneRank rank;
  ShardedParams<T> params;
  Llama<T> llama;
};

class GradientTest : public testing::TestWithParam<std::tuple<bool, Recompute>> {};

TEST_P(GradientTest, EqualsComplexStepInARandomDirectionOfEveryParameter) {
  const auto [tied, recompute] = GetParam();
  const LlamaConfig config = small_config(tied);
  const TokenBatch batch = batch_of(config);
  const std::vector<double> weights = weights_of(batch);

  Model<double> real(config, recompute);
  (void)real.llama.forward_backward(batch, weights);
  real.params.finish_gradients();

  Model<Complex> complex(config, Recompute::none);
  constexpr double kStep = 1e-50;
  for (int unit = 0; unit < real.params.units(); ++unit) {
    for (const ParameterView& view : real.params.layout(unit).views()) {
      double expected = 0, norm = 0;
      const auto direction = [&](std::size_t i) { return random_normal(7, random_stream(view.name), i); };
      for (std::size_t i = 0; i < view.size; ++i) {
        complex.params.master(unit)[view.offset + i] += Complex(0, kStep * direction(i));
        const double term = real.params.gradient(unit)[view.offset + i] * direction(i);
        expected += term;
        norm += term * term;
      }
      const auto scores = complex.llama.score(batch);
      double derivative = 0;
      for (std::size_t t = 0; t < weights.size(); ++t) derivative += weights[t] * scores.nll[t].imag() / kStep;
      EXPECT_GT(norm, 0) << view.name;
      EXPECT_NEAR(derivative, expected, 1e-10 * std::sqrt(norm)) << view.name;
      for (std::size_t i = 0; i < view.size; ++i) complex.params.master(unit)[view.offset + i].imag(0);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Models, GradientTest,
                         testing::Combine(testing::Bool(), testing::Values(Recompute::none, Recompute::light, Recompute::block)));

TEST(Gradient, RecomputationChangesNoBit) {
  const LlamaConfig config = small_config(false);
  const TokenBatch batch = batch_of(config);
  Model<float> kept(config, Recompute::none);
  (void)kept.llama.forward_backward(batch, weights_of(batch));
  for (const Recompute recompute : {Recompute::light, Recompute::block}) {
    Model<float> again(config, recompute);
    (void)again.llama.forward_backward(batch, weights_of(batch));
    for (int unit = 0; unit < kept.params.units(); ++unit)
      EXPECT_TRUE(std::ranges::equal(kept.params.gradient(unit), again.params.gradient(unit))) << "unit " << unit;
  }
}

TEST(Gradient, PackedSequencesDoNotSeeOneAnother) {
  const LlamaConfig config = small_config(true);
  const TokenBatch packed = batch_of(config);
  Model<double> model(config, Recompute::none);
  const auto together = model.llama.score(packed);
  for (int s = 0; s < packed.sequences(); ++s) {
    const auto begin = static_cast<std::size_t>(packed.offsets[static_cast<std::size_t>(s)]);
    const auto end = static_cast<std::size_t>(packed.offsets[static_cast<std::size_t>(s) + 1]);
    TokenBatch alone;
    alone.append(std::span(packed.ids).subspan(begin, end - begin));
    const auto scores = model.llama.score(alone);
    for (std::size_t t = begin; t < end; ++t) EXPECT_NEAR(scores.nll[t - begin], together.nll[t], 1e-12);
  }
}

TEST(Workspace, MatchesItsEstimate) {
  LlamaConfig config = small_config(false);
  config.hidden_size = 64;
  config.intermediate_size = 176;
  config.head_dim = 16;
  config.num_hidden_layers = 6;
  for (const Recompute recompute : {Recompute::none, Recompute::light, Recompute::block}) {
    Model<float> model(config, recompute);
    model.llama.reserve(512, true);
    const auto estimate = static_cast<double>(activation_bytes(config, 512, recompute, sizeof(float)));
    // The estimate leaves out per-token sums and one chunk of logits.
    EXPECT_NEAR(static_cast<double>(model.llama.workspace_bytes()) / estimate, 1, 0.12);
  }
}

}  // namespace
}  // namespace expunge
