// What a training step takes of a GPU's memory once a run is under way: nothing.
#include "run/options.h"
#include "support/gpu_test.h"
#include "support/lone_rank.h"
#include "support/nll_plan.h"
#include "support/small_llama.h"
#include "training/optimizer.h"

namespace expunge {
namespace {

template <Element T>
class GpuMemory : public GpuTest {};
using Types = ::testing::Types<float, bf16>;
TYPED_TEST_SUITE(GpuMemory, Types);

/// Sequences of these lengths, packed.
TokenBatch batch_of(const std::vector<int>& lengths) {
  TokenBatch batch;
  for (const int length : lengths) batch.append(std::vector<std::int32_t>(static_cast<std::size_t>(length), 5));
  return batch;
}

TYPED_TEST(GpuMemory, LargerBatchesAfterTheFirstStepTakeNone) {
  using T = TypeParam;
  LlamaConfig config = small_llama(61, false);
  config.num_attention_heads = 8;  // groups of four, which the tensor cores' backward pass splits
  config.head_dim = 8;
  const LoneRank rank(true, {DeviceType::cuda, 0});
  const std::vector<std::vector<int>> batches{{3}, {130, 2}, {20, 30, 40}, {170}};
  ShardedParams<T> params(rank.runtime(), llama_units(config, 1), {false, true, false}, true);
  Optimizer<T> optimizer(params, OptimizerOptions{});
  Llama<T> model(config, params, Recompute::none);
  model.reserve(170, true);
  std::size_t taken = 0;
  for (const std::vector<int>& lengths : batches) {
    const TokenBatch batch = batch_of(lengths);
    model.forward_backward(batch, nll_plan<T>(batch, std::vector<double>(batch.ids.size(), 0.1)));
    optimizer.step(1e-3, optimizer.gradient_norm());
    const std::size_t now = pool_use({DeviceType::cuda, 0}).from_system;
    EXPECT_TRUE(taken == 0 || taken == now) << "a first sequence of " << lengths.front();
    taken = now;
  }
}

}  // namespace
}  // namespace expunge
