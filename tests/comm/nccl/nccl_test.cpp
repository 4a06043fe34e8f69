// The NCCL communicator: what its collectives give, that every rank calls the same ones in the same sizes, how it ends.
#include <gtest/gtest.h>
#include <nccl.h>

#include <atomic>
#include <mutex>
#include <numeric>

#include "core/random.h"
#include "model/llama.h"
#include "plan/cost.h"
#include "rank_threads.h"
#include "session/options.h"
#include "support/lone_rank.h"
#include "support/nll_plan.h"
#include "support/small_llama.h"

namespace expunge {
namespace {

using Calls = std::vector<standin::Call>;

constexpr std::size_t kShard = 192;

TEST(Nccl, CollectivesGiveWhatTheyShould) {
  for (const int ranks : {1, 2, 4, 8})
    run_ranks(ranks, [&](const Runtime& runtime) {
      const int rank = runtime.comm.rank();
      const auto world = static_cast<std::size_t>(ranks);
      std::vector<float> whole(kShard * world), shard(kShard, static_cast<float>(rank + 1));
      runtime.comm.all_gather(runtime.communication, whole.data(), shard.data(), kShard * sizeof(float));
      runtime.communication.synchronize();
      for (std::size_t i = 0; i < whole.size(); ++i) ASSERT_EQ(whole[i], static_cast<float>(i / kShard + 1));

      std::vector<double> wide(whole.begin(), whole.end()), wide_sum(kShard);
      std::vector<bf16> narrow(whole.size());
      for (std::size_t i = 0; i < narrow.size(); ++i) narrow[i] = bf16(whole[i] * static_cast<float>(rank + 1));
      std::vector<float> sum(kShard), narrow_sum(kShard);
      runtime.comm.reduce_scatter(runtime.communication, sum.data(), whole.data(), kShard);
      runtime.comm.reduce_scatter(runtime.communication, wide_sum.data(), wide.data(), kShard);
      runtime.comm.reduce_scatter(runtime.communication, narrow_sum.data(), narrow.data(), kShard);
      runtime.communication.synchronize();
      for (std::size_t i = 0; i < kShard; ++i) {
        ASSERT_EQ(sum[i], static_cast<float>((rank + 1) * ranks));
        ASSERT_EQ(wide_sum[i], static_cast<double>(sum[i]));
        ASSERT_EQ(narrow_sum[i], static_cast<float>((rank + 1) * ranks * (ranks + 1) / 2));
      }
      EXPECT_EQ(all_reduce(runtime, rank, Reduce::max), ranks - 1);
      EXPECT_EQ(broadcast(runtime, rank == ranks - 1 ? "last" : "", ranks - 1), "last");
    });
}

/// Whole gradients of two optimizer steps of two micro-batches each, and what the ranks called.
struct Trained {
  std::vector<std::vector<double>> gradients;  // of each unit, without the padding
  std::vector<Calls> calls;                    // of each rank
};

TokenBatch batch_of(int rank, int micro, int vocabulary) {
  TokenBatch batch;
  for (int s = 0; s < 2; ++s) {
    std::vector<std::int32_t> ids(static_cast<std::size_t>(5 + 3 * rank + 7 * s + micro));
    for (std::size_t t = 0; t < ids.size(); ++t)
      ids[t] = static_cast<std::int32_t>(random_below(7, static_cast<std::uint64_t>(2 * rank + micro),
                                                      t + 100 * static_cast<std::size_t>(s),
                                                      static_cast<std::uint64_t>(vocabulary)));
    batch.append(ids);
  }
  return batch;
}

/// Trains `parts` ranks' batches on the ranks of the runtime, and puts this rank's gradients where they belong.
template <Element T>
void train(const Runtime& runtime, const LlamaConfig& config, const ShardingOptions& options, int parts, Trained& result) {
  static std::mutex mutex;
  ShardedParams<T> params(runtime, llama_units(config, runtime.comm.size()), options, true);
  for (int unit = 0; unit < params.units(); ++unit)
    for (const ParameterSlice& slice : params.layout(unit).slices(runtime.comm.rank())) {
      std::vector<acc_t<T>> values(slice.count);
      for (std::size_t i = 0; i < values.size(); ++i)
        values[i] = static_cast<acc_t<T>>(0.2 * random_normal(3, random_stream(slice.view->name), slice.first + i));
      params.load(unit, slice.offset, values);
    }
  Llama<T> model(config, params, Recompute::light);
  const int each = parts / runtime.comm.size();
  for (int step = 0; step < 2; ++step) {
    params.begin_step();
    for (int micro = 0; micro < 2 * each; ++micro) {
      if (micro + 1 == 2 * each) params.last_micro_batch();
      const TokenBatch batch = batch_of(runtime.comm.rank() * each + micro / 2, micro % 2, config.vocab_size);
      (void)model.forward_backward(batch, nll_plan<T>(batch, std::vector<double>(batch.ids.size(), 0.01)));
    }
    params.finish_gradients();
    if (step == 1) break;
    for (int unit = 0; unit < params.units(); ++unit)  // one step of plain descent
      for (std::size_t i = 0; i < params.master(unit).size(); ++i) params.master(unit)[i] -= params.gradient(unit)[i];
    params.weights_changed();
  }
  const std::lock_guard lock(mutex);
  result.gradients.resize(static_cast<std::size_t>(params.units()));
  for (int unit = 0; unit < params.units(); ++unit) {
    auto& whole = result.gradients[static_cast<std::size_t>(unit)];
    for (const ParameterSlice& slice : params.layout(unit).slices(runtime.comm.rank())) {
      const std::size_t at = slice.view->offset + slice.first;
      whole.resize(std::max(whole.size(), at + slice.count));
      for (std::size_t i = 0; i < slice.count; ++i)
        whole[at + i] = static_cast<double>(params.gradient(unit)[slice.offset + i]);
    }
  }
}

template <Element T>
Trained train_on(int ranks, const LlamaConfig& config, const ShardingOptions& options) {
  Trained result;
  result.calls.resize(static_cast<std::size_t>(ranks));
  run_ranks(ranks, [&](const Runtime& runtime) {
    train<T>(runtime, config, options, 8, result);
    result.calls[static_cast<std::size_t>(runtime.comm.rank())] = standin::recorded();
  });
  return result;
}

double relative_error(const Trained& a, const Trained& b) {
  double difference = 0, norm = 0;
  for (std::size_t u = 0; u < b.gradients.size(); ++u)
    for (std::size_t i = 0; i < b.gradients[u].size(); ++i) {
      difference += std::pow(a.gradients[u][i] - b.gradients[u][i], 2);
      norm += std::pow(b.gradients[u][i], 2);
    }
  EXPECT_GT(norm, 0);
  return std::sqrt(difference / norm);
}

std::size_t count(const Calls& calls, std::string_view name) {
  return static_cast<std::size_t>(std::ranges::count(calls, name, &standin::Call::name));
}

/// Every call is one of the layout's: a unit's shard in the element type when gathered, in that of gradients when reduced.
void expect_sizes(const Calls& calls, const std::vector<UnitLayout>& units, std::size_t element, std::size_t wire) {
  for (const standin::Call& call : calls) {
    const std::size_t width = call.name == "all-gather" ? element : wire;
    EXPECT_TRUE(std::ranges::any_of(units, [&](const UnitLayout& unit) { return unit.shard_size() * width == call.bytes; }))
        << call.name << " of " << call.bytes << " bytes";
  }
}

template <Element T>
void expect_training(bool tied, bool once, bool prefetch, bool in_bf16, double tolerance) {
  LlamaConfig config = small_llama(61, tied);
  config.num_hidden_layers = 3;
  LoneRank lone;
  Trained alone;
  train<T>(lone.runtime(), config, {once, prefetch, false}, 8, alone);
  const std::size_t wire = in_bf16 ? sizeof(bf16) : sizeof(acc_t<T>);
  for (const int ranks : {1, 2, 4, 8}) {
    SCOPED_TRACE(testing::Message() << ranks << " ranks, tied " << tied << ", once " << once << ", prefetch " << prefetch);
    const std::vector<UnitLayout> units = llama_units(config, ranks);
    const Trained together = train_on<T>(ranks, config, {once, prefetch, in_bf16});
    EXPECT_LE(relative_error(together, alone), tolerance);
    for (const Calls& calls : together.calls) EXPECT_EQ(calls, together.calls.front());
    const Calls& calls = together.calls.front();
    const int micro_batches = 2 * 8 / ranks;
    const GatherPolicy gather = once ? GatherPolicy::per_step : GatherPolicy::per_micro_step;
    // A single rank gathers in place for every use, in the compute type; there its gradients travel in fp32.
    if (ranks > 1 || !std::is_same_v<T, acc_t<T>>)
      EXPECT_EQ(count(calls, "all-gather"), 2 * step_gathers(config, units, gather, micro_batches).calls);
    else
      EXPECT_GT(count(calls, "all-gather"), 0u);
    expect_sizes(calls, units, sizeof(T), ranks > 1 ? wire : sizeof(acc_t<T>));
    const std::size_t reductions = count(calls, "reduce-scatter") + count(calls, "exchange");
    EXPECT_EQ(count(calls, "exchange") > 0, in_bf16 && ranks > 1);
    EXPECT_EQ(reductions, 2 * units.size() * static_cast<std::size_t>(once ? 1 : micro_batches));
  }
}

TEST(Nccl, TrainsAsOneRankDoes) {
  for (const bool tied : {false, true})
    for (const bool once : {false, true})
      for (const bool prefetch : {false, true}) {
        expect_training<double>(tied, once, prefetch, false, 1e-12);
        expect_training<bf16>(tied, once, prefetch, false, 2e-2);
        expect_training<float>(tied, once, prefetch, true, 2e-2);
      }
}

/// Ends the job by a note of why.
struct Notes {
  std::mutex mutex;
  std::vector<std::string> messages;
  NcclOptions options(double limit) {
    return {limit, [this](const std::string& message) {
              const std::lock_guard lock(mutex);
              messages.push_back(message);
            }};
  }
};

TEST(Nccl, ACollectiveThatHangsEndsTheJob) {
  Notes notes;
  run_ranks(
      2,
      [&](const Runtime& runtime) {
        std::vector<float> whole(2 * kShard), shard(kShard);
        if (runtime.comm.rank() == 1) return;  // never calls
        runtime.comm.all_gather(runtime.communication, whole.data(), shard.data(), kShard * sizeof(float));
        runtime.communication.synchronize();  // ends because the communicator is aborted
        EXPECT_TRUE(standin::was_aborted());
        EXPECT_THROW(runtime.comm.all_gather(runtime.communication, whole.data(), shard.data(), kShard * sizeof(float)), Error);
      },
      notes.options(0.2));
  ASSERT_EQ(notes.messages.size(), 1u);
  EXPECT_EQ(notes.messages[0],
            "expunge: error on rank 0 of 2: NCCL all-gather: no progress for 0 s; a rank is lost or hangs\n");
}

TEST(Nccl, AnAsynchronousErrorEndsTheJob) {
  Notes notes;
  run_ranks(
      2,
      [&](const Runtime& runtime) {
        std::vector<float> whole(2 * kShard), shard(kShard);
        if (runtime.comm.rank() == 1) return;
        runtime.comm.all_gather(runtime.communication, whole.data(), shard.data(), kShard * sizeof(float));
        standin::fail_with(ncclRemoteError);
        runtime.communication.synchronize();
        EXPECT_TRUE(standin::was_aborted());
      },
      notes.options(60));
  ASSERT_EQ(notes.messages.size(), 1u);
  EXPECT_EQ(notes.messages[0],
            "expunge: error on rank 0 of 2: NCCL all-gather: remote process exited or there was a network error\n");
}

}  // namespace
}  // namespace expunge
