// The GPU's kernels, run on the host, against the CPU's in double over awkward shapes.
#include "kernels/operations.h"

namespace expunge::testing {
namespace {

/// Which back end table() is, for a scope.
class OnGpu {
 public:
  OnGpu() { tested_device = {DeviceType::cuda, 0}; }
  ~OnGpu() { tested_device = {}; }
};

template <Element T>
class GpuKernels : public ::testing::Test {};
using Types = ::testing::Types<float, bf16, double>;
TYPED_TEST_SUITE(GpuKernels, Types);

/// The unit roundoff's square, generously, where T is double; products of attention's probabilities, which tensor cores take
/// rounded to bf16, carry that rounding as well as the result's.
template <Element T>
double tolerance(bool rounds_inside) {
  if constexpr (std::same_as<T, double>) return 1e-24;
  return kTolerance<T> * (rounds_inside && std::same_as<T, bf16> ? 4 : 1);
}

template <Element T, typename Operation>
void expect_agreement(const Operation& op, bool rounds_inside = false) {
  SCOPED_TRACE(op.name());
  Arrays<double> inputs;
  for (const std::size_t size : op.inputs()) inputs.push_back(rounded<T>(random_values(size, unsigned(size + inputs.size()))));
  const Arrays<double> expected = op.template forward<double>(inputs);
  const auto dy = rounded<T>(random_values(expected[0].size(), 99));
  Arrays<double> saved = expected;
  for (std::size_t i = 0; i < saved.size(); ++i)
    saved[i] = i == 0 && Operation::kRoundedToT ? rounded<T>(expected[i]) : rounded<acc_t<T>>(expected[i]);
  const Arrays<double> expected_gradients = op.template backward<double>(inputs, saved, dy);
  const OnGpu on_gpu;
  const auto found = op.template forward<T>(inputs);
  const auto gradients = op.template backward<T>(inputs, saved, dy);
  const auto square = [](double x) { return x * x; };
  for (std::size_t i = 0; i < found.size(); ++i)
    EXPECT_LE(square(relative_error(found[i], expected[i])), tolerance<T>(rounds_inside)) << "output " << i;
  for (std::size_t i = 0; i < gradients.size(); ++i)
    EXPECT_LE(square(relative_error(gradients[i], expected_gradients[i])), tolerance<T>(rounds_inside)) << "gradient " << i;
}

TYPED_TEST(GpuKernels, AgreeWithTheCpu) {
  for_each_operation([](const auto& op) { expect_agreement<TypeParam>(op); });
}

/// Head sizes that the tensor cores take, whole and in part, sequences about the size of a tile, groups of heads.
TYPED_TEST(GpuKernels, AttentionOfTensorCoreShapesAgrees) {
  for (const AttentionShape& shape : {AttentionShape{1, 1, 8}, {4, 2, 64}, {4, 1, 72}, {2, 1, 128}})
    for (const std::vector<int>& lengths : {std::vector<int>{1}, {0, 5, 0, 70}, {63, 64, 65}, {130}})
      expect_agreement<TypeParam>(Attention{shape, lengths}, true);
  for (const AttentionShape& shape : {AttentionShape{2, 1, 160}, {1, 1, 256}})
    expect_agreement<TypeParam>(Attention{shape, {3, 40}});
}

/// Rows long enough for vectors, several packs a thread, and several rows a block.
TYPED_TEST(GpuKernels, LongRowsAgree) {
  expect_agreement<TypeParam>(RmsNorm{3, 4096});
  expect_agreement<TypeParam>(RmsNorm{530, 16});
  expect_agreement<TypeParam>(SwiGlu{3, 2064});
  expect_agreement<TypeParam>(Distance{3, 4096, true});
  expect_agreement<TypeParam>(Nll{4096, {4095, 0, -1}});
  expect_agreement<TypeParam>(SoftTargets{4096, {4095, 0, -1}, {1.5, 1e-3, true}});
  expect_agreement<TypeParam>(Rope{{4, 2, 64}, {0, 1, 4095}});
  std::vector<std::int32_t> ids(700);
  for (std::size_t i = 0; i < ids.size(); ++i) ids[i] = std::int32_t(i * i % 7);
  expect_agreement<TypeParam>(Embedding{7, 264, ids});
}

}  // namespace
}  // namespace expunge::testing
