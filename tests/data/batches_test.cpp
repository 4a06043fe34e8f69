// Sample order and the deal of a step's items.
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <numeric>
#include <set>

#include "core/random.h"
#include "data/batches.h"

namespace expunge {
namespace {

TEST(SampleOrder, EveryEpochIsAPermutationOfItsOwn) {
  SampleOrder order(50, 42, true);
  std::vector<std::vector<std::size_t>> epochs(3);
  for (std::uint64_t at = 0; at < 150; ++at) epochs[at / 50].push_back(order.item(at));
  EXPECT_NE(epochs[0], epochs[1]);
  EXPECT_NE(epochs[1], epochs[2]);
  for (auto& epoch : epochs) {
    std::sort(epoch.begin(), epoch.end());
    for (std::size_t i = 0; i < 50; ++i) EXPECT_EQ(epoch[i], i);
  }
}

TEST(SampleOrder, DependsOnSeedAndPositionAlone) {
  SampleOrder a(50, 42, true), b(50, 42, true), other(50, 43, true);
  EXPECT_EQ(b.item(120), (a.item(3), a.item(149), a.item(120))) << "whatever was asked for before";
  int differing = 0;
  for (std::uint64_t at = 0; at < 50; ++at) differing += a.item(at) != other.item(at);
  EXPECT_GT(differing, 25);
}

TEST(SampleOrder, UnshuffledAndGivenOrdersRepeat) {
  SampleOrder plain(4, 42, false), given({2, 0});
  EXPECT_EQ(plain.item(6), 2u);
  EXPECT_EQ(given.item(0), 2u);
  EXPECT_EQ(given.item(3), 0u);
}

const std::vector<std::size_t> kLengths = {5, 900, 17, 300, 300, 12, 64, 4096, 5, 128, 77};

TEST(PlanStep, DealsEveryItemOnceWithEqualRoundsAndBatchLimits) {
  for (int world = 1; world <= 5; ++world) {
    for (const std::size_t batch : {1, 2, 3, 20}) {
      const BatchDeal plan = deal_batches(kLengths, world, batch, 0);
      ASSERT_EQ(plan.size(), static_cast<std::size_t>(world));
      const std::size_t share = (kLengths.size() + static_cast<std::size_t>(world) - 1) / static_cast<std::size_t>(world);
      std::multiset<std::size_t> dealt;
      for (const auto& rounds : plan) {
        EXPECT_EQ(rounds.size(), (share + batch - 1) / batch) << "no more rounds than the batch size asks for";
        for (const auto& round : rounds) {
          EXPECT_LE(round.size(), batch);
          dealt.insert(round.begin(), round.end());
        }
      }
      std::multiset<std::size_t> all;
      for (std::size_t i = 0; i < kLengths.size(); ++i) all.insert(i);
      EXPECT_EQ(dealt, all);
    }
  }
}

TEST(PlanStep, PacksTokensLongestFirst) {
  const BatchDeal plan = deal_batches(kLengths, 1, 1, 1000);
  for (const auto& round : plan[0]) {
    std::size_t tokens = 0;
    for (const std::size_t item : round) tokens += kLengths[item];
    EXPECT_TRUE(tokens <= 1000 || round.size() == 1) << "only a longer sequence stands alone beyond the limit";
    EXPECT_TRUE(std::is_sorted(round.begin(), round.end(), [](auto a, auto b) { return kLengths[a] > kLengths[b]; }));
  }
  EXPECT_EQ(plan[0].size(), 3u) << "4096 | 900 77 17 5 | 300 300 128 64 12 5";
}

// First fit, one micro-batch after another: what packing gives, in the square of its time.
TEST(PlanStep, PacksByFirstFit) {
  for (std::uint64_t seed = 0; seed < 50; ++seed) {
    std::vector<std::size_t> lengths(1 + random_below(seed, 1, 0, 70));
    for (std::size_t i = 0; i < lengths.size(); ++i) lengths[i] = 2 + random_below(seed, 2, i, 60);
    const std::size_t most = 20 + random_below(seed, 3, 0, 120);
    std::vector<std::size_t> order(lengths.size()), used;
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return lengths[a] > lengths[b]; });
    std::vector<std::vector<std::size_t>> bins;
    for (const std::size_t item : order) {
      std::size_t bin = 0;
      while (bin < bins.size() && used[bin] + lengths[item] > most) ++bin;
      bins.resize(std::max(bins.size(), bin + 1));
      used.resize(bins.size());
      bins[bin].push_back(item);
      used[bin] += lengths[item];
    }
    EXPECT_EQ(deal_batches(lengths, 1, 1, most).front(), bins) << seed;
  }
}

TEST(PlanStep, AMillionMicroBatchesTakeNoSquareOfTime) {
  const std::vector<std::size_t> lengths(1'000'000, 7);
  const auto began = std::chrono::steady_clock::now();
  EXPECT_EQ(deal_batches(lengths, 1, 1, 1).front().size(), lengths.size()) << "each stands alone";
  EXPECT_EQ(deal_batches(lengths, 1, 1, 13).front().size(), lengths.size()) << "no two fit together";
  EXPECT_LT(std::chrono::steady_clock::now() - began, std::chrono::seconds(60));
}

TEST(PlanStep, BalancesTokensOverRanks) {
  std::vector<std::size_t> lengths(40);
  for (std::size_t i = 0; i < lengths.size(); ++i) lengths[i] = 100 + 37 * i % 500;
  const BatchDeal plan = deal_batches(lengths, 4, 1, 2048);
  std::vector<std::size_t> loads;
  for (const auto& rounds : plan) {
    std::size_t tokens = 0;
    for (const auto& round : rounds)
      for (const std::size_t item : round) tokens += lengths[item];
    loads.push_back(tokens);
  }
  EXPECT_LE(*std::ranges::max_element(loads) - *std::ranges::min_element(loads), 600u);
}

TEST(PlanStep, MoreRanksThanItemsLeavesSomeEmpty) {
  const std::vector<std::size_t> one = {9};
  const BatchDeal plan = deal_batches(one, 3, 1, 0);
  for (const auto& rounds : plan) EXPECT_EQ(rounds.size(), 1u);
  EXPECT_EQ(plan[0][0].size() + plan[1][0].size() + plan[2][0].size(), 1u);
}

}  // namespace
}  // namespace expunge
