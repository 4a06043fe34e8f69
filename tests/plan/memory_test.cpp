// What a run is planned to take: of a model of billions on GPUs that are not here, and of small ones beside what they take.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "expunge/error.h"
#include "plan/cost.h"
#include "plan/memory.h"
#include "run/options.h"
#include "session/device_choice.h"
#include "support/lone_rank.h"
#include "support/nll_plan.h"
#include "support/small_llama.h"
#include "training/optimizer.h"

namespace expunge {
namespace {

constexpr std::size_t kGB = 1'000'000'000;

LlamaConfig yi_6b() {
  LlamaConfig config;
  config.hidden_size = 4096;
  config.intermediate_size = 11008;
  config.num_hidden_layers = 32;
  config.num_attention_heads = 32;
  config.num_key_value_heads = 4;
  config.head_dim = 128;
  config.vocab_size = 64000;
  config.max_position_embeddings = 4096;
  return config;
}

RunShape yi_run(int world_size, bool reference) {
  return {yi_6b(), world_size, 4096, DType::bfloat16, reference, false, false, DeviceType::cuda};
}

Policies automatic(const RunShape& shape, std::size_t memory) {
  return choose_policies(shape, GatherPolicy::automatic, RecomputePolicy::automatic, memory);
}

TEST(Plan, Yi6BWithAReferenceModelFitsOnOneGpuOf141GB) {
  EXPECT_EQ(yi_6b().parameter_count(), 6'061'035'520);
  const Policies policies = automatic(yi_run(1, true), 141 * kGB);
  EXPECT_TRUE(policies.fits);
  EXPECT_EQ(policies.gather, GatherPolicy::per_step);
  EXPECT_EQ(policies.recompute, Recompute::light);
  // 16 bytes a parameter of state, 2 of the reference model, 2 of weights in bfloat16.
  EXPECT_NEAR(static_cast<double>(policies.memory.state()), 18 * 6.061e9, 0.01e9);
  EXPECT_NEAR(static_cast<double>(policies.memory.gathered_weights), 2 * 6.061e9, 0.01e9);
  EXPECT_EQ(policies.memory.gathered_gradients, 0u);
}

TEST(Plan, Yi6BFitsOnEightGpusOf80GBWithTheDefaults) {
  for (const bool reference : {false, true}) {
    const Policies policies = automatic(yi_run(8, reference), 80 * kGB);
    EXPECT_TRUE(policies.fits);
    EXPECT_EQ(policies.gather, GatherPolicy::per_step);
    EXPECT_NE(policies.recompute, Recompute::block);
  }
}

TEST(Plan, WhatDoesNotFitIsRefusedWithAWayOut) {
  const RunShape shape = yi_run(1, true);
  const Policies policies = automatic(shape, 80 * kGB);
  EXPECT_FALSE(policies.fits);
  EXPECT_THAT(describe_misfit(shape, policies, 80 * kGB), testing::HasSubstr("it would on 2 ranks"));
  EXPECT_THAT(describe_misfit(shape, automatic(shape, kGB), kGB), testing::HasSubstr("no number of ranks helps"));
}

TEST(Plan, LessMemoryGathersMoreOftenAndRecomputesMore) {
  std::size_t before = ~std::size_t{0};
  for (std::size_t memory = 140 * kGB; memory >= 30 * kGB; memory -= 5 * kGB) {
    const Policies policies = automatic(yi_run(8, true), memory);
    if (!policies.fits) break;
    EXPECT_LE(policies.memory.total(), memory);
    EXPECT_LE(policies.memory.total(), before);
    before = policies.memory.total();
  }
  EXPECT_LT(before, 45 * kGB);
  EXPECT_EQ(choose_policies(yi_run(8, true), GatherPolicy::per_micro_step, RecomputePolicy::block, 80 * kGB).recompute,
            Recompute::block);
}

TEST(Plan, OperationsOfYi6BAreThoseOfTheLiterature) { EXPECT_NEAR(token_flops(yi_6b(), 4096).training(), 38.0e9, 0.05e9); }

/// All that lasts of a training run on one rank.
template <Element T>
void expect_memory(bool once, Recompute recompute) {
  const std::size_t before = pool_use({}).now;
  LoneRank rank;
  LlamaConfig config = small_llama(509, false);
  config.hidden_size = config.num_attention_heads * (config.head_dim = 32);
  config.intermediate_size = 344;
  config.num_hidden_layers = 4;
  const int tokens = 256;
  ShardedParams<T> params(rank.runtime(), llama_units(config, 1), {once, true, false}, true);
  Optimizer<T> optimizer(params, OptimizerOptions{});
  Llama<T> model(config, params, recompute);
  model.reserve(tokens, true);
  const RunShape shape{config, 1, tokens, std::is_same_v<T, bf16> ? DType::bfloat16 : DType::float32};
  const MemoryUse use = memory_use(shape, once ? GatherPolicy::per_step : GatherPolicy::per_micro_step, recompute);
  const double planned = static_cast<double>(use.total() - use.program - use.staging);
  const double taken = static_cast<double>(pool_use({}).now - before);
  EXPECT_GE(taken, planned);
  EXPECT_LE(taken, 1.15 * planned);  // blocks of the pool may be a quarter larger than asked for
}

TEST(Plan, MemoryIsWhatARunAllocates) {
  for (const bool once : {false, true})
    for (const Recompute recompute : {Recompute::none, Recompute::light, Recompute::block}) {
      expect_memory<float>(once, recompute);
      expect_memory<bf16>(once, recompute);
    }
}

TEST(Plan, GathersAreThoseThatARunMakes) {
  for (const bool tied : {false, true})
    for (const bool once : {false, true})
      for (const int micro_batches : {1, 2, 5}) {
        LoneRank rank(false);
        LlamaConfig config = small_llama(61, tied);
        config.num_hidden_layers = 3;
        const std::vector<UnitLayout> units = llama_units(config, 1);
        ShardedParams<float> params(rank.runtime(), units, {once, true, false}, true);
        Llama<float> model(config, params, Recompute::none);
        TokenBatch batch;
        batch.append(std::vector<std::int32_t>{1, 2, 3, 4});
        params.begin_step();
        for (int micro = 0; micro < micro_batches; ++micro) {
          if (micro + 1 == micro_batches) params.last_micro_batch();
          (void)model.forward_backward(batch, nll_plan<float>(batch, {1, 1, 1, 1}));
        }
        params.finish_gradients();
        const Gathers planned =
            step_gathers(config, units, once ? GatherPolicy::per_step : GatherPolicy::per_micro_step, micro_batches);
        EXPECT_EQ(static_cast<double>(params.gathers()), planned.calls) << tied << once << micro_batches;
      }
}

TEST(DeviceChoice, RanksOnOneGpuAreRefusedUnlessTheyAreStaged) {
  const std::vector<FoundGpu> two_gpus = {{"GPU-a", ""}, {"GPU-b", ""}},
                              one_gpu = {{"GPU-a", ""}, {"GPU-b", ""}, {"GPU-a", ""}};
  EXPECT_EQ(choose_comm(CommPolicy::automatic, two_gpus, true), CommPolicy::nccl);
  EXPECT_EQ(choose_comm(CommPolicy::automatic, two_gpus, false), CommPolicy::staged);
  EXPECT_EQ(choose_comm(CommPolicy::staged, one_gpu, true), CommPolicy::staged);
  const auto message = [](CommPolicy asked, const std::vector<FoundGpu>& ranks, bool built) {
    try {
      (void)choose_comm(asked, ranks, built);
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ExitCode::usage);
      return std::string(error.what());
    }
    return std::string();
  };
  EXPECT_THAT(message(CommPolicy::automatic, one_gpu, true), testing::HasSubstr("ranks 0 and 2 are on the same GPU, GPU-a"));
  EXPECT_THAT(message(CommPolicy::nccl, one_gpu, true), testing::HasSubstr("ranks 0 and 2"));
  EXPECT_THAT(message(CommPolicy::nccl, two_gpus, false), testing::HasSubstr("no NCCL"));
  EXPECT_THAT(message(CommPolicy::staged, {{"GPU-a", ""}, {"", "no driver"}}, true),
              testing::HasSubstr("rank 1 has no GPU: no driver"));
}

}  // namespace
}  // namespace expunge
