// The whole model's gradients: against the complex step, and unchanged by recomputation and packing.
#include <gtest/gtest.h>

#include <cmath>
#include <complex>

#include "core/random.h"
#include "expunge/communicator.h"
#include "fsdp/sharded_params_impl.h"
#include "kernels/cpu/cpu_kernels.h"
#include "model/llama_loss.h"
#include "support/lone_rank.h"
#include "support/nll_plan.h"
#include "support/small_llama.h"

namespace expunge {

// The complex element type exists in tests alone.
template <>
const Kernels<std::complex<double>>& kernels<std::complex<double>>(Device) {
  return cpu::plain::kKernels<std::complex<double>>;
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

/// Derivatives of sum_t weights[t] signal[t] in a random direction of every parameter: from `real`'s gradient, and by the
/// complex step through `pass`, which returns the signals of the complex model.
template <typename Pass>
void expect_gradient_equals_complex_step(Model<double>& real, Model<Complex>& complex, const std::vector<double>& weights,
                                         Pass pass) {
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
      const std::vector<Complex> signals = pass();
      double derivative = 0;
      for (std::size_t t = 0; t < weights.size(); ++t) derivative += weights[t] * signals[t].imag() / kStep;
      EXPECT_NEAR(derivative, expected, 1e-10 * std::sqrt(norm)) << view.name;
      for (std::size_t i = 0; i < view.size; ++i) complex.params.master(unit)[view.offset + i].imag(0);
    }
  }
}

/// Another model of the same shape, as a reference.
template <Element T>
void perturb(Model<T>& model) {
  for (int unit = 0; unit < model.params.units(); ++unit)
    for (std::size_t i = 0; i < model.params.master(unit).size(); ++i)
      model.params.master(unit)[i] += static_cast<acc_t<T>>(0.1 * random_normal(6, static_cast<std::uint64_t>(unit), i));
}

double norm_of(Model<double>& model) {
  double sum = 0;
  for (int unit = 0; unit < model.params.units(); ++unit)
    for (const double g : model.params.gradient(unit)) sum += g * g;
  return std::sqrt(sum);
}

class GradientTest : public testing::TestWithParam<std::tuple<bool, Recompute>> {};

TEST_P(GradientTest, EqualsComplexStepInARandomDirectionOfEveryParameter) {
  const auto [tied, recompute] = GetParam();
  const LlamaConfig config = small_config(tied);
  const TokenBatch batch = batch_of(config);
  const std::vector<double> weights = weights_of(batch);

  Model<double> real(config, recompute);
  (void)real.llama.forward_backward(batch, nll_plan<double>(batch, weights));
  real.params.finish_gradients();

  Model<Complex> complex(config, Recompute::none);
  EXPECT_GT(norm_of(real), 0);
  expect_gradient_equals_complex_step(real, complex, weights, [&] { return complex.llama.score(batch).nll; });
}

INSTANTIATE_TEST_SUITE_P(Models, GradientTest,
                         testing::Combine(testing::Bool(),
                                          testing::Values(Recompute::none, Recompute::light, Recompute::block)));

constexpr Signal::Target kReference = Signal::Target::reference;
const Signal kSoftSignals[] = {
    {.kind = Signal::Kind::cross_entropy, .target = kReference},
    {.kind = Signal::Kind::cross_entropy, .target = kReference, .epsilon = 1e-3, .every_position = true},
    {.kind = Signal::Kind::divergence, .target = kReference},
    {.kind = Signal::Kind::cross_entropy, .target = kReference, .label_shift = 2},
};

/// The batch's first two sequences under the signal, the rest under nll.
std::vector<SignalRows> mixed_rows(const TokenBatch& batch, const Signal& signal) {
  return {{0, batch.offsets[2], signal}, {batch.offsets[2], batch.tokens(), {}}};
}

class SoftGradientTest : public testing::TestWithParam<std::tuple<bool, Signal>> {};

TEST_P(SoftGradientTest, EqualsComplexStep) {
  const auto [tied, signal] = GetParam();
  const LlamaConfig config = small_config(tied);
  const TokenBatch batch = batch_of(config);
  const std::vector<double> weights = weights_of(batch);
  Model<double> real(config, Recompute::none), reference(config, Recompute::none);
  Model<Complex> complex(config, Recompute::none), complex_reference(config, Recompute::none);
  perturb(reference);
  perturb(complex_reference);
  (void)real.llama.forward_backward(batch, LossSpec<double>{mixed_rows(batch, signal), weights, nullptr, &reference.llama});
  EXPECT_GT(norm_of(real), 0);
  expect_gradient_equals_complex_step(real, complex, weights, [&] {
    return complex.llama
        .forward_backward(batch, LossSpec<Complex>{mixed_rows(batch, signal), weights, nullptr, &complex_reference.llama})
        .signal;
  });
}

INSTANTIATE_TEST_SUITE_P(Signals, SoftGradientTest, testing::Combine(testing::Bool(), testing::ValuesIn(kSoftSignals)));

TEST(Gradient, TheModelsOwnDistributionIsAConstantTarget) {
  const LlamaConfig config = small_config(false);
  const TokenBatch batch = batch_of(config);
  Signal signal{.kind = Signal::Kind::cross_entropy, .target = kReference, .label_shift = kWholeLabel};
  Model<double> model(config, Recompute::none), copy(config, Recompute::none), reference(config, Recompute::none);
  const auto against_copy = copy.llama.forward_backward(
      batch, LossSpec<double>{{{0, batch.tokens(), signal}}, weights_of(batch), nullptr, &reference.llama});
  signal.target = Signal::Target::own;
  const auto own =
      model.llama.forward_backward(batch, LossSpec<double>{{{0, batch.tokens(), signal}}, weights_of(batch), nullptr, nullptr});
  EXPECT_EQ(own.signal, against_copy.signal);
  EXPECT_GT(norm_of(model), 0);
  for (int unit = 0; unit < model.params.units(); ++unit)
    EXPECT_TRUE(std::ranges::equal(model.params.gradient(unit), copy.params.gradient(unit))) << "unit " << unit;
}

TEST(Gradient, WeightsMadeFromTheScoresAreUsedAsIfKnownBefore) {
  const LlamaConfig config = small_config(true);
  const TokenBatch batch = batch_of(config);
  Model<double> two_passes(config, Recompute::none), one_pass(config, Recompute::none);
  std::vector<double> made;
  LossSpec<double> plan{{{0, batch.tokens(), {}}}, {}, nullptr, nullptr};
  plan.weigh = [&](const TokenScores<double>& scores) {
    made = scores.signal;
    for (double& weight : made) weight = std::sin(weight);
    return made;
  };
  const auto scores = two_passes.llama.forward_backward(batch, plan);
  (void)one_pass.llama.forward_backward(batch, nll_plan<double>(batch, made));
  EXPECT_EQ(scores.signal, scores.nll);
  for (int unit = 0; unit < one_pass.params.units(); ++unit)
    EXPECT_TRUE(std::ranges::equal(two_passes.params.gradient(unit), one_pass.params.gradient(unit))) << "unit " << unit;
}

TEST(Gradient, OfABlocksOutputEqualsComplexStep) {
  const LlamaConfig config = small_config(false);
  const TokenBatch batch = batch_of(config);
  const std::vector<double> weights = weights_of(batch);
  const std::vector<double> control(static_cast<std::size_t>(config.hidden_size), 0.4);
  const std::vector<SignalRows> rows{
      {0, batch.offsets[2], {.kind = Signal::Kind::distance, .target = kReference, .every_position = true}},
      {batch.offsets[2],
       batch.tokens(),
       {.kind = Signal::Kind::distance, .target = Signal::Target::control, .every_position = true}}};
  for (int layer = 0; layer < config.num_hidden_layers; ++layer) {
    Model<double> real(config, Recompute::light), reference(config, Recompute::none);
    Model<Complex> complex(config, Recompute::none), complex_reference(config, Recompute::none);
    perturb(reference);
    perturb(complex_reference);
    (void)real.llama.forward_backward(batch, LayerLossSpec<double>{layer, rows, weights, control, &reference.llama});
    EXPECT_GT(norm_of(real), 0);
    expect_gradient_equals_complex_step(real, complex, weights, [&] {
      return complex.llama
          .forward_backward(batch, LayerLossSpec<Complex>{layer, rows, weights, control, &complex_reference.llama})
          .signal;
    });
  }
}

TEST(Gradient, RecomputationChangesNoBit) {
  const LlamaConfig config = small_config(false);
  const TokenBatch batch = batch_of(config);
  Model<float> kept(config, Recompute::none);
  (void)kept.llama.forward_backward(batch, nll_plan<float>(batch, weights_of(batch)));
  for (const Recompute recompute : {Recompute::light, Recompute::block}) {
    Model<float> again(config, recompute);
    (void)again.llama.forward_backward(batch, nll_plan<float>(batch, weights_of(batch)));
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

TEST(Workspace, TakesWhatIsPlanned) {
  const LlamaConfig config = small_config(false);
  for (const Recompute recompute : {Recompute::none, Recompute::light, Recompute::block})
    for (const bool training : {false, true}) {
      Model<bf16> model(config, recompute);
      const std::size_t before = pool_use({}).now;
      model.llama.reserve(512, training);
      // The pool hands out blocks of whole 128 bytes, and up to a quarter larger ones that it has.
      const auto planned =
          static_cast<double>(workspace_bytes<bf16>(config, 512, recompute, training, DeviceType::cpu).total());
      const auto taken = static_cast<double>(pool_use({}).now - before);
      EXPECT_GE(taken, planned);
      EXPECT_LE(taken, planned * 1.26);
    }
}

}  // namespace
}  // namespace expunge
