// The GPU's kernels against the CPU's in double over awkward shapes.
#include "kernels/operations.h"
#include "support/gpu_test.h"

namespace expunge::testing {
namespace {

/// Which back end table() is, for a scope.
class OnGpu {
 public:
  OnGpu() { tested_device = {DeviceType::cuda, 0}; }
  ~OnGpu() { tested_device = {}; }
};

template <Element T>
class GpuKernels : public GpuTest {};
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
  for (const AttentionShape& shape : {AttentionShape{1, 1, 8}, {4, 2, 64}, {4, 1, 72}, {2, 1, 128}, {8, 1, 16}})
    for (const std::vector<int>& lengths : {std::vector<int>{1}, {0, 5, 0, 70}, {63, 64, 65}, {127, 128, 129}, {33, 260}})
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

/// Of results in the accumulation type.
template <Element T>
constexpr double kAccumulated = sizeof(acc_t<T>) == 8 ? 1e-24 : kTolerance<float>;

/// Results of `run<T>`, arrays of numbers, on the GPU, and in double on the CPU.
template <Element T, typename Run>
void expect_same(const Run& run, double allowed = tolerance<T>(false)) {
  const Arrays<double> expected = run.template operator()<double>();
  const OnGpu on_gpu;
  const Arrays<double> found = run.template operator()<T>();
  ASSERT_EQ(found.size(), expected.size());
  for (std::size_t i = 0; i < found.size(); ++i)
    EXPECT_LE(std::pow(relative_error(found[i], expected[i]), 2), allowed) << "output " << i;
}

/// Random values that T holds.
template <Element T, typename A = T>
Array<A> random_array(std::size_t n, unsigned seed) {
  return on_device(narrow<A>(rounded<bf16>(random_values(n, seed))));
}

TYPED_TEST(GpuKernels, ProductsAndNormsAddAndLeaveOut) {
  constexpr int kN = 13, kIn = 24, kOut = 17;
  const auto sized = [](int rows, int columns) { return std::size_t(rows) * std::size_t(columns); };
  expect_same<TypeParam>([&]<Element T>() -> Arrays<double> {
    const Kernels<T>& k = table<T>();
    auto x = random_array<T>(sized(kN, kIn), 1), w = random_array<T>(sized(kOut, kIn), 2),
         dy = random_array<T>(sized(kN, kOut), 3);
    auto y = random_array<T>(sized(kN, kOut), 4), dx = random_array<T>(sized(kN, kIn), 5),
         apart = random_array<T>(sized(kN, kOut), 7);
    auto dw = random_array<T, acc_t<T>>(sized(kOut, kIn), 6);
    k.linear_forward(stream(), apart.data(), x.data(), w.data(), y.data(), kN, kIn, kOut);
    k.linear_forward(stream(), y.data(), x.data(), w.data(), y.data(), kN, kIn, kOut);
    k.linear_backward(stream(), dx.data(), nullptr, dy.data(), x.data(), w.data(), kN, kIn, kOut, Write::add);
    k.linear_backward(stream(), nullptr, dw.data(), dy.data(), x.data(), w.data(), kN, kIn, kOut, Write::set);
    return {widen<double>(y), widen<double>(apart), widen<double>(dx), widen<double>(dw)};
  });
  expect_same<TypeParam>([&]<Element T>() -> Arrays<double> {
    auto x = random_array<T>(sized(kN, kIn), 1), w = random_array<T>(kIn, 2), dy = random_array<T>(sized(kN, kIn), 3);
    auto rstd = random_array<T, acc_t<T>>(kN, 4), dw = random_array<T, acc_t<T>>(kIn, 5);
    auto dx = random_array<T>(sized(kN, kIn), 6);
    for (auto [to_x, to_w] : {std::pair(dx.data(), static_cast<acc_t<T>*>(nullptr)), {static_cast<T*>(nullptr), dw.data()}})
      table<T>().rms_norm_backward(stream(), to_x, to_w, dy.data(), x.data(), w.data(), rstd.data(), kN, kIn, Write::add);
    return {widen<double>(dx), widen<double>(dw)};
  });
}

/// Whole vectors, and arrays that begin at an odd element.
TYPED_TEST(GpuKernels, FlatKernelsAgree) {
  for (const std::size_t n : {0, 1, 1003, 40000})
    for (const std::size_t first : {0, 1}) {
      SCOPED_TRACE(fmt::format("{} elements from {}", n, first));
      expect_same<TypeParam>([&]<Element T>() -> Arrays<double> {
        using A = acc_t<T>;
        auto x = random_array<T, A>(n + first, 1), y = random_array<T, A>(n + first, 2);
        Array<T> rounded(n + first);
        Array<double> sum(std::vector<double>{0.5});
        table<T>().accumulate(stream(), y.data() + first, x.data() + first, n);
        table<T>().sum_of_squares(stream(), sum.data(), x.data() + first, n);
        table<T>().cast(stream(), rounded.data() + first, y.data() + first, n);
        return {widen<double>(rounded), widen<double>(y), sum.host()};
      });
    }
}

TYPED_TEST(GpuKernels, AdamWAgrees) {
  for (const bool round : {false, true})
    for (const std::size_t first : {0, 1}) {
      constexpr std::size_t kSize = 1003;
      // Two weights beside the middle of two bf16 numbers may be rounded differently.
      expect_same<TypeParam>(
          [&]<Element T>() -> Arrays<double> {
            using A = acc_t<T>;
            auto w = random_array<T, A>(kSize, 1), g = random_array<T, A>(kSize, 2);
            Array<A> m(kSize), v(kSize);
            for (int t = 1; t <= 3; ++t)
              table<T>().adamw(stream(), w.data() + first, m.data() + first, v.data() + first, g.data() + first, kSize - first,
                               {1e-2, 0.9, 0.999, 1e-8, 0.1, 1 - std::pow(0.9, t), 1 - std::pow(0.999, t), 0.25, round});
            return {widen<double>(w), widen<double>(m), widen<double>(v)};
          },
          round ? kTolerance<bf16> : kAccumulated<TypeParam>);
    }
}

/// Frequencies are the same to the last bit; cosines are NVIDIA's.
TYPED_TEST(GpuKernels, AnglesAgree) {
  const std::vector<std::int32_t> positions{0, 1, 2, 4095, 199999};
  for (const int size : {2, 34, 256}) {
    const auto angles = [&] {
      Array<acc_t<TypeParam>> cos_sin(positions.size() * std::size_t(size));
      table<TypeParam>().rope_table(stream(), cos_sin.data(), on_device(positions).data(), int(positions.size()), size, 5e6);
      return widen<double>(cos_sin);
    };
    const auto expected = angles();
    const OnGpu on_gpu;
    EXPECT_LE(std::pow(relative_error(angles(), expected), 2), kAccumulated<TypeParam>);
  }
}

TYPED_TEST(GpuKernels, MomentsAgree) {
  for (const int vocabulary : {1, 2, 31, 1025, 4099})
    expect_same<TypeParam>(
        [&]<Element T>() -> Arrays<double> {
          using A = acc_t<T>;
          constexpr int kRows = 3;
          auto logits = random_array<T, A>(std::size_t(kRows * vocabulary), 1);
          Array<A> nll(kRows), lse(kRows), mean(kRows), variance(kRows);
          Array<std::int32_t> prediction(kRows);
          table<T>().nll_forward(stream(), nll.data(), lse.data(), prediction.data(), logits.data(),
                                 on_device(std::vector<std::int32_t>(kRows, -1)).data(), kRows, vocabulary);
          table<T>().log_prob_moments(stream(), mean.data(), variance.data(), logits.data(), lse.data(), kRows, vocabulary);
          return {widen<double>(lse), widen<double>(mean), widen<double>(variance), widen<double>(prediction)};
        },
        kAccumulated<TypeParam>);
}

TYPED_TEST(GpuKernels, DrawnLabelsAgree) {
  constexpr int kRows = 9;
  for (const int vocabulary : {7, 1031})
    for (const LabelSampling& sampling : {LabelSampling{0, 1, vocabulary},
                                          {1, 1, vocabulary},
                                          {5, 1, vocabulary - 1, 0.5},
                                          {0, 0.7, vocabulary, 2},
                                          {3, 0.5, vocabulary},
                                          {0, 1, 1}}) {
      const auto draw = [&] {
        std::vector<std::int32_t> excluded(kRows, -1);
        std::vector<double> uniform(kRows);
        for (int t = 0; t < kRows; ++t) {
          if (t % 2) excluded[std::size_t(t)] = t % vocabulary;
          uniform[std::size_t(t)] = (t + 0.37) / kRows;
        }
        auto logits = random_array<TypeParam, acc_t<TypeParam>>(std::size_t(kRows * vocabulary), 1);
        Array<std::int32_t> chosen(kRows);
        table<TypeParam>().sample_labels(stream(), chosen.data(), logits.data(), on_device(excluded).data(),
                                         on_device(uniform).data(), kRows, vocabulary, sampling);
        return chosen.host();
      };
      const auto expected = draw();
      const OnGpu on_gpu;
      EXPECT_EQ(draw(), expected) << "vocabulary " << vocabulary << ", top_k " << sampling.top_k << ", top_p " << sampling.top_p
                                  << ", limit " << sampling.vocabulary_limit;
    }
}

/// Keys and values of two sequences lie apart in a cache whose other rows are not numbers.
TYPED_TEST(GpuKernels, CachedAttentionAgrees) {
  for (const AttentionShape& shape : {AttentionShape{1, 1, 2}, {6, 3, 10}, {4, 1, 64}, {2, 1, 128}})
    expect_same<TypeParam>([&]<Element T>() -> Arrays<double> {
      constexpr int kLengths[] = {5, 130}, kRoom = 140;
      std::vector<std::int32_t> slots;
      for (int s = 0; s < 2; ++s)
        for (int t = 0; t < kLengths[s]; ++t) slots.push_back((1 - s) * kRoom + t);
      auto stored = random_array<T>(slots.size() * std::size_t(shape.qkv_width()), 1);
      auto queries = random_array<T>(std::size_t(2 * shape.qkv_width()), 2);
      Array<T> cache(std::vector<T>(std::size_t(2 * kRoom * 2 * shape.kv_heads * shape.head_size), T(std::nanf(""))));
      Array<T> out(std::size_t(2 * shape.heads * shape.head_size));
      table<T>().cache_store(stream(), cache.data(), stored.data(), on_device(slots).data(), int(slots.size()), shape);
      table<T>().attention_cached_forward(stream(), out.data(), queries.data(), cache.data(),
                                          on_device(std::vector<std::int32_t>{kRoom, 0}).data(),
                                          on_device(std::vector<std::int32_t>{kLengths[0], kLengths[1]}).data(), 2, shape);
      return {widen<double>(out)};
    });
}

}  // namespace
}  // namespace expunge::testing
