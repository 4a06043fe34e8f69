// Products of bf16 pairs against sums in double, and what rounds and packs for them.
#include "kernels/cpu/pair_product.h"

#include <cstdint>

#include "testing.h"

namespace expunge::testing {
namespace {

using cpu::Pair;

class Pairs : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!cpu::has_pair_products()) GTEST_SKIP() << "this processor does not multiply pairs of bf16";
  }
};

std::vector<bf16> random_rows(int rows, int columns, unsigned seed) {
  return narrow<bf16>(random_values(std::size_t(rows * columns), seed));
}

/// c = a b^T for a (rows, depth), b (columns, depth), by columns of pairs; then again added to itself.
TEST_F(Pairs, MultiplyRowsByRows) {
  for (const int depth : {2, 8, 48})
    for (const int rows : {1, 5, 16, 63})
      for (const int columns : {1, 16, 31, 48, 64, 90, 200}) {
        const auto a = random_rows(rows, depth, 1), b = random_rows(columns, depth, 2);
        const cpu::Panels panels(columns);
        std::vector<std::uint32_t> packed(panels.size(columns, depth / 2), 0xffffffff);
        cpu::pack_transposed(packed.data(), panels, b.data(), std::size_t(depth), columns, depth);
        const std::size_t stride = std::size_t(columns) + 3;
        std::vector<float> c(std::size_t(rows) * stride, 7);
        for (const Write write : {Write::set, Write::add})
          cpu::pair_product(write, c.data(), stride, {reinterpret_cast<const Pair*>(a.data()), std::size_t(depth / 2), 1},
                            {packed.data(), panels, std::size_t(panels.width() * depth / 2)}, rows, columns, depth / 2);
        for (int i = 0; i < rows; ++i)
          for (int j = 0; j < int(stride); ++j) {
            double expected = 7;  // what lies between the rows stays
            if (j < columns) {
              expected = 0;
              for (int p = 0; p < depth; ++p)
                expected += 2 * double(float(a[std::size_t(i * depth + p)])) * double(float(b[std::size_t(j * depth + p)]));
            }
            ASSERT_NEAR(c[std::size_t(i) * stride + std::size_t(j)], expected, 1e-4) << rows << " " << columns << " " << depth;
          }
      }
}

/// c = a^T b for a (depth, rows), b (depth, columns): both hold pairs of rows, the last one alone where depth is odd.
TEST_F(Pairs, MultiplyColumnsByColumns) {
  for (const int depth : {1, 6, 63})
    for (const int rows : {1, 20, 100})
      for (const int columns : {2, 48, 66, 128}) {
        const int padded = (rows + 15) / 16 * 16, pairs = (depth + 1) / 2;
        std::vector<float> a(std::size_t(depth * padded));
        const auto values = random_rows(depth, padded, 3), b = random_rows(depth, columns, 4);
        std::copy(values.begin(), values.end(), a.begin());
        std::vector<std::uint32_t> a_pairs(std::size_t(pairs * padded));
        for (int p = 0; p < pairs; ++p) {
          const float* const low = a.data() + 2 * p * padded;
          cpu::round_two_rows(a_pairs.data() + p * padded, low, 2 * p + 1 < depth ? low + padded : nullptr, rows);
        }
        const cpu::Panels panels(columns);
        std::vector<std::uint32_t> packed(panels.size(columns, pairs));
        cpu::pack_rows(packed.data(), panels, b.data(), std::size_t(columns), depth, columns);
        std::vector<float> c(std::size_t(rows * columns));
        cpu::pair_product(Write::set, c.data(), std::size_t(columns), {a_pairs.data(), 1, std::size_t(padded)},
                          {packed.data(), panels, std::size_t(panels.width() * pairs)}, rows, columns, pairs);
        for (int i = 0; i < rows; ++i)
          for (int j = 0; j < columns; ++j) {
            double expected = 0;
            for (int p = 0; p < depth; ++p)
              expected += double(a[std::size_t(p * padded + i)]) * double(float(b[std::size_t(p * columns + j)]));
            ASSERT_NEAR(c[std::size_t(i * columns + j)], expected, 1e-4) << rows << " " << columns << " " << depth;
          }
      }
}

TEST_F(Pairs, RoundARowToNearestEven) {
  for (const int n : {1, 2, 31, 32, 33, 97}) {
    const auto values = random_values(std::size_t(n), 5);
    const std::vector<float> from(values.begin(), values.end());
    std::vector<std::uint32_t> to(std::size_t(n + 1) / 2 + 1, 0xabcdef01);
    cpu::round_row(to.data(), from.data(), n);
    for (int i = 0; i < n; ++i)
      EXPECT_EQ(to[std::size_t(i / 2)] >> (i % 2 * 16) & 0xffff, bf16(from[std::size_t(i)]).bits) << n << ", " << i;
    EXPECT_TRUE(n % 2 == 0 || to[std::size_t(n / 2)] >> 16 == 0);
    EXPECT_EQ(to.back(), 0xabcdef01) << "nothing is written behind";
  }
}

}  // namespace
}  // namespace expunge::testing
