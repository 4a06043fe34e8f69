// Matrix products: Write::add, skipped gradients, and bf16 on processors whose oneDNN lacks it.
#include <cstdlib>

#include "testing.h"

namespace expunge::testing {
namespace {

template <Element T>
class Products : public ::testing::Test {};
using ProductTypes = ::testing::Types<float, bf16, double>;
TYPED_TEST_SUITE(Products, ProductTypes);

double error(const std::vector<double>& found, const std::vector<double>& expected) { return relative_error(found, expected); }

template <Element T>
constexpr double kRelative = std::same_as<T, double> ? 1e-14 : std::sqrt(kTolerance<T>);

std::vector<double> sum(const std::vector<double>& x, const std::vector<double>& y) {
  std::vector<double> result;
  for (std::size_t i = 0; i < x.size(); ++i) result.push_back(x[i] + y[i]);
  return result;
}

TYPED_TEST(Products, LinearAddsAndSkips) {
  using T = TypeParam;
  using A = acc_t<T>;
  constexpr int kN = 37, kIn = 19, kOut = 23;
  const auto x = narrow<T>(random_values(kN * kIn, 1)), w = narrow<T>(random_values(kOut * kIn, 2));
  const auto dy = narrow<T>(random_values(kN * kOut, 3)), before = narrow<T>(random_values(kN * kOut, 4));
  const Kernels<T>& k = table<T>();

  std::vector<T> set(kN * kOut), added = before, apart(kN * kOut);
  k.linear_forward(stream(), set.data(), x.data(), w.data(), nullptr, kN, kIn, kOut);
  k.linear_forward(stream(), added.data(), x.data(), w.data(), added.data(), kN, kIn, kOut);
  k.linear_forward(stream(), apart.data(), x.data(), w.data(), before.data(), kN, kIn, kOut);
  EXPECT_EQ(apart, added);
  EXPECT_LE(error(widen<double>(added), sum(widen<double>(before), widen<double>(set))), 2 * kRelative<T>);

  const auto dx_before = narrow<T>(random_values(kN * kIn, 5));
  std::vector<T> dx(kN * kIn), dx_added = dx_before;
  std::vector<A> dw(kOut * kIn), dw_alone(kOut * kIn);
  k.linear_backward(stream(), dx.data(), dw.data(), dy.data(), x.data(), w.data(), kN, kIn, kOut, Write::set);
  k.linear_backward(stream(), dx_added.data(), nullptr, dy.data(), x.data(), w.data(), kN, kIn, kOut, Write::add);
  EXPECT_LE(error(widen<double>(dx_added), sum(widen<double>(dx_before), widen<double>(dx))), 2 * kRelative<T>);
  k.linear_backward(stream(), nullptr, dw_alone.data(), dy.data(), x.data(), w.data(), kN, kIn, kOut, Write::set);
  EXPECT_EQ(dw_alone, dw);
  k.linear_backward(stream(), nullptr, dw_alone.data(), dy.data(), x.data(), w.data(), kN, kIn, kOut, Write::set);
  EXPECT_LE(error(widen<double>(dw_alone), sum(widen<double>(dw), widen<double>(dw))), 1e-6);
}

TYPED_TEST(Products, RmsNormAddsAndSkips) {
  using T = TypeParam;
  using A = acc_t<T>;
  constexpr int kN = 7, kDim = 35;
  const auto x = narrow<T>(random_values(kN * kDim, 1)), w = narrow<T>(random_values(kDim, 2));
  const auto dy = narrow<T>(random_values(kN * kDim, 3)), before = narrow<T>(random_values(kN * kDim, 4));
  const std::vector<A> rstd(kN, A(0.9));
  const Kernels<T>& k = table<T>();
  std::vector<T> dx(kN * kDim), added = before;
  std::vector<A> dw(kDim), dw_again(kDim);
  k.rms_norm_backward(stream(), dx.data(), dw.data(), dy.data(), x.data(), w.data(), rstd.data(), kN, kDim, Write::set);
  k.rms_norm_backward(stream(), added.data(), nullptr, dy.data(), x.data(), w.data(), rstd.data(), kN, kDim, Write::add);
  EXPECT_LE(error(widen<double>(added), sum(widen<double>(before), widen<double>(dx))), 2 * kRelative<T>);
  k.rms_norm_backward(stream(), nullptr, dw_again.data(), dy.data(), x.data(), w.data(), rstd.data(), kN, kDim, Write::set);
  EXPECT_EQ(dw_again, dw);
  k.rms_norm_backward(stream(), nullptr, dw_again.data(), dy.data(), x.data(), w.data(), rstd.data(), kN, kDim, Write::set);
  EXPECT_LE(error(widen<double>(dw_again), sum(widen<double>(dw), widen<double>(dw))), 1e-6);
}

/// c (m, n) += a b for all transpositions, over more than one block of 1024 in each direction.
TEST(Bf16Products, FloatBlocksAgreeWithDouble) {
  constexpr int kRows = 1030, kColumns = 1027, kDepth = 1026;
  const auto a = narrow<bf16>(random_values(kRows * kDepth, 1)), b = narrow<bf16>(random_values(kDepth * kColumns, 2));
  const auto before = narrow<bf16>(random_values(kRows * kColumns, 3));
  const auto a_wide = widen<double>(a), b_wide = widen<double>(b);
  for (const bool flip_a : {false, true})
    for (const bool flip_b : {false, true}) {
      const auto operand = [](const auto& data, bool flip, int rows, int columns) {
        return flip ? cpu::transposed(data.data(), rows) : cpu::plain(data.data(), columns);
      };
      const cpu::ProductSize size{kRows, kColumns, kDepth};
      auto expected = widen<double>(before);
      cpu::product(Write::add, expected.data(), kColumns, operand(a_wide, flip_a, kRows, kDepth),
                   operand(b_wide, flip_b, kDepth, kColumns), size);
      std::vector<bf16> found = before;
      cpu::product_by_float_blocks(Write::add, found.data(), kColumns, operand(a, flip_a, kRows, kDepth),
                                   operand(b, flip_b, kDepth, kColumns), size);
      EXPECT_LE(error(widen<double>(found), expected), kRelative<bf16>);
      std::vector<bf16> chosen = before;
      cpu::product(Write::add, chosen.data(), kColumns, operand(a, flip_a, kRows, kDepth), operand(b, flip_b, kDepth, kColumns),
                   size);
      EXPECT_LE(error(widen<double>(chosen), expected), kRelative<bf16>);
      auto found_float = narrow<float>(widen<double>(before));
      cpu::product_by_float_blocks(Write::add, found_float.data(), kColumns, operand(a, flip_a, kRows, kDepth),
                                   operand(b, flip_b, kDepth, kColumns), size);
      EXPECT_LE(error(widen<double>(found_float), expected), kRelative<float>);
    }
}

/// More rows than fit one chunk of a bf16 result.
TEST(Bf16Products, ChunksOfRowsAgreeWithDouble) {
  constexpr int kN = 130, kIn = 3, kOut = 100003;
  const auto x = narrow<bf16>(random_values(kN * kIn, 1)), w = narrow<bf16>(random_values(kOut * kIn, 2));
  std::vector<bf16> y(std::size_t(kN) * kOut);
  std::vector<double> expected(y.size());
  table<bf16>().linear_forward(stream(), y.data(), x.data(), w.data(), nullptr, kN, kIn, kOut);
  table<double>().linear_forward(stream(), expected.data(), widen<double>(x).data(), widen<double>(w).data(), nullptr, kN, kIn,
                                 kOut);
  EXPECT_LE(error(widen<double>(y), expected), kRelative<bf16>);
}

TEST(Bf16Products, AreNotOneDnnsWhereItIsHeldToAvx2) {
  const char* const limit = std::getenv("ONEDNN_MAX_CPU_ISA");
  if (!limit) GTEST_SKIP() << "runs where ONEDNN_MAX_CPU_ISA=AVX2 is set, as one CTest entry does";
  EXPECT_FALSE(cpu::has_bf16_products());
}

}  // namespace
}  // namespace expunge::testing
