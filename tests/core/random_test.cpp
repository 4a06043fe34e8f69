// Random numbers by their key.
#include "core/random.h"

#include <gtest/gtest.h>

#include <cmath>
#include <set>
#include <vector>

namespace expunge {
namespace {

TEST(Random, DependsOnEveryPartOfTheKey) {
  std::set<std::uint64_t> seen;
  for (std::uint64_t seed = 0; seed < 8; ++seed)
    for (std::uint64_t stream = 0; stream < 8; ++stream)
      for (std::uint64_t counter = 0; counter < 8; ++counter) seen.insert(random_bits(seed, stream, counter));
  EXPECT_EQ(seen.size(), 512u);
  EXPECT_EQ(random_bits(1, 2, 3), random_bits(1, 2, 3));
}

TEST(Random, NormalHasItsMoments) {
  constexpr int kDraws = 200000;
  double sum = 0, squares = 0, fourth = 0;
  for (int i = 0; i < kDraws; ++i) {
    const double x = random_normal(1, 2, static_cast<std::uint64_t>(i));
    sum += x;
    squares += x * x;
    fourth += x * x * x * x;
  }
  // Five standard errors of each mean: 1, sqrt(2) and sqrt(96) over sqrt(draws).
  const double error = 5 / std::sqrt(kDraws);
  EXPECT_NEAR(sum / kDraws, 0, error);
  EXPECT_NEAR(squares / kDraws, 1, std::sqrt(2) * error);
  EXPECT_NEAR(fourth / kDraws, 3, std::sqrt(96) * error);
}

TEST(Random, BelowIsUniform) {
  std::vector<int> counts(10);
  for (std::uint64_t i = 0; i < 100000; ++i) ++counts[random_below(3, 4, i, 10)];
  for (const int count : counts) EXPECT_NEAR(count, 10000, 5 * std::sqrt(9000));
}

}  // namespace
}  // namespace expunge
