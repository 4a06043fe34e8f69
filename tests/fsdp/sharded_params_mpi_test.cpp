// Sharded parameters over ranks: gathers, eviction, prefetch, reduction under both policies.
#include <gtest/gtest.h>

#include "expunge/error.h"
#include "fsdp/sharded_params.h"
#include "support/mpi_session.h"

namespace expunge {
namespace {

const Runtime& runtime() { return test_session().runtime(); }

std::vector<UnitLayout> five_units() {
  std::vector<UnitLayout> units;
  for (int u = 0; u < 5; ++u) {
    units.emplace_back("unit" + std::to_string(u), runtime().comm.size());
    units.back().add({{"w" + std::to_string(u), {7 + u, 31}}});
  }
  return units;
}

/// Element i of unit u's flat vector; exact in bf16.
float weight(int u, std::size_t i) { return static_cast<float>(u * 16 + static_cast<int>(i % 16)); }

template <Element T>
void fill(ShardedParams<T>& params) {
  for (int u = 0; u < params.units(); ++u) {
    const auto shard = params.master(u);
    const std::size_t begin = static_cast<std::size_t>(runtime().comm.rank()) * shard.size();
    for (std::size_t i = 0; i < shard.size(); ++i) shard[i] = weight(u, begin + i);
  }
}

template <Element T>
void expect_whole(const ShardedParams<T>& params, const Lease<T>& lease, int u) {
  for (std::size_t i = 0; i < params.layout(u).size(); ++i)
    ASSERT_EQ(static_cast<float>(lease.data()[i]), weight(u, i)) << "unit " << u << " element " << i;
}

template <Element T>
void expect_training_order(bool once, bool prefetch) {
  ShardedParams<T> params(runtime(), five_units(), {once, prefetch, false}, true);
  fill(params);
  for (int pass = 0; pass < 2; ++pass) {
    for (int u = 0; u < 5; ++u) {  // forward
      const Lease<T> lease = params.gather(u);
      if (u + 1 < 5) params.prefetch(u + 1);
      expect_whole(params, lease, u);
    }
    for (int u = 3; u > 0; --u) {  // backward: embedding and head need no gather
      const Lease<T> lease = params.gather(u);
      if (u > 1) params.prefetch(u - 1);
      expect_whole(params, lease, u);
    }
  }
  const bool copies = !(runtime().comm.whole_is_shard() && std::is_same_v<T, acc_t<T>>);
  // Two slots: 5 forward and units 2 and 1 backward, for unit 3 is still there; then units 0 and 1 of the next pass likewise.
  if (copies && once) {
    EXPECT_EQ(params.gathers(), 5u);
  } else if (copies) {
    EXPECT_LE(params.gathers(), 14u);
  }
  params.weights_changed();
  for (int u = 0; u < 5; ++u) expect_whole(params, params.gather(u), u);
}

TEST(ShardedParams, GathersWholeUnits) {
  for (const bool once : {false, true})
    for (const bool prefetch : {false, true}) {
      expect_training_order<float>(once, prefetch);
      expect_training_order<bf16>(once, prefetch);
      expect_training_order<double>(once, prefetch);
    }
}

TEST(ShardedParams, StaleWeightsAreGatheredAgain) {
  ShardedParams<bf16> params(runtime(), five_units(), {true, true, false}, true);
  fill(params);
  expect_whole(params, params.gather(2), 2);
  for (float& w : params.master(2)) w += 1;
  params.weights_changed();
  EXPECT_EQ(static_cast<float>(params.gather(2).data()[3]), weight(2, 3) + 1);
}

TEST(ShardedParams, ThreeLeasesDoNotFitTwoSlots) {
  if (runtime().comm.whole_is_shard()) GTEST_SKIP() << "one rank needs no slots";
  ShardedParams<float> params(runtime(), five_units(), {false, true, false}, true);
  const auto a = params.gather(0), b = params.gather(1);
  params.prefetch(2);  // no free slot: nothing happens
  EXPECT_THROW((void)params.gather(2), Error);
}

template <Element T>
void expect_reduced(bool once, bool in_bf16) {
  ShardedParams<T> params(runtime(), five_units(), {once, true, in_bf16}, true);
  const int world = runtime().comm.size(), rank = runtime().comm.rank();
  for (int step = 0; step < 2; ++step) {
    params.begin_step();
    for (int micro = 0; micro < 3; ++micro) {
      if (micro == 2) params.last_micro_batch();
      for (int u = 4; u >= 0; --u) {
        auto gradients = params.gradients(u);
        for (std::size_t i = 0; i < params.layout(u).size(); ++i)
          gradients.data()[i] += static_cast<acc_t<T>>((rank + 1) * (micro + 1) * static_cast<int>(i % 3 + 1));
        params.reduce(u, std::move(gradients));
      }
    }
    params.finish_gradients();
    const double expected = world * (world + 1) / 2.0 * 6;
    for (int u = 0; u < 5; ++u) {
      const auto shard = params.gradient(u);
      const std::size_t begin = static_cast<std::size_t>(rank) * shard.size();
      for (std::size_t i = 0; i < shard.size(); ++i)
        ASSERT_EQ(static_cast<double>(shard[i]), expected * static_cast<double>((begin + i) % 3 + 1)) << "unit " << u;
    }
  }
}

TEST(ShardedParams, GradientsAreSummedOverRanksAndMicroBatches) {
  for (const bool once : {false, true}) {
    expect_reduced<float>(once, false);
    expect_reduced<float>(once, true);  // small whole numbers are exact in bf16
    expect_reduced<bf16>(once, false);
    expect_reduced<double>(once, false);
  }
}

}  // namespace
}  // namespace expunge
