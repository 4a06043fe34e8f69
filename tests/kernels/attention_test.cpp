// Blocked attention against a full-matrix softmax, query by query.
#include <algorithm>

#include "operations.h"

namespace expunge::testing {
namespace {

/// out and lse by the definition.
Arrays<double> full_matrix_attention(const Attention& op, const std::vector<double>& qkv) {
  const int heads = op.shape.heads, kv_heads = op.shape.kv_heads, width = op.shape.head_size;
  const auto offsets = op.offsets();
  const auto row = [&](int token, int slot) {
    return qkv.data() + std::size_t(token * op.shape.qkv_width()) + std::size_t(slot * width);
  };
  std::vector<double> out(op.tokens() * std::size_t(heads * width)), lse(op.tokens() * std::size_t(heads));
  for (std::size_t s = 0; s < op.lengths.size(); ++s)
    for (int head = 0; head < heads; ++head)
      for (int query = offsets[s]; query < offsets[s + 1]; ++query) {
        const int kv_head = head / (heads / kv_heads);
        std::vector<double> weights;
        double total = 0;
        for (int key = offsets[s]; key <= query; ++key) {
          double score = 0;
          for (int e = 0; e < width; ++e) score += row(query, head)[e] * row(key, heads + kv_head)[e];
          weights.push_back(std::exp(score / std::sqrt(width)));
          total += weights.back();
        }
        for (int key = offsets[s]; key <= query; ++key)
          for (int e = 0; e < width; ++e)
            out[std::size_t((query * heads + head) * width + e)] +=
                weights[std::size_t(key - offsets[s])] / total * row(key, heads + kv_heads + kv_head)[e];
        lse[std::size_t(head) * op.tokens() + std::size_t(query)] = std::log(total);
      }
  return {out, lse};
}

TEST(Attention, AgreesWithTheFullMatrix) {
  for (const AttentionShape& shape : {AttentionShape{1, 1, 2}, {6, 1, 8}, {6, 3, 4}, {4, 4, 22}})
    for (const std::vector<int>& lengths : {std::vector<int>{1}, {2, 0, 1}, {1, 95, 96, 97, 200}, {191, 192, 193}, {401}}) {
      const Attention op{shape, lengths};
      SCOPED_TRACE(op.name());
      const auto qkv = rounded<bf16>(random_values(op.inputs()[0], 3));
      const auto expected = full_matrix_attention(op, qkv);
      const auto in_double = op.forward<double>({qkv});
      const auto in_float = op.forward<float>({qkv});
      const auto in_bf16 = op.forward<bf16>({qkv});
      for (std::size_t i = 0; i < expected.size(); ++i) {
        EXPECT_LE(relative_error(in_double[i], expected[i]), 1e-13);
        EXPECT_LE(relative_error(in_float[i], expected[i]), std::sqrt(kTolerance<float>));
        EXPECT_LE(relative_error(in_bf16[i], expected[i]), std::sqrt(kTolerance<bf16>));
      }
    }
}

/// bf16 where the processor does not multiply pairs: the other arithmetic, tested wherever the tests run.
TEST(Attention, OfBf16InFloatAgreesWithTheFullMatrix) {
  const Attention op{{6, 3, 4}, {1, 95, 401}};
  const auto qkv = rounded<bf16>(random_values(op.inputs()[0], 3));
  const auto expected = full_matrix_attention(op, qkv);
  const auto narrowed = narrow<bf16>(qkv);
  const auto offsets = op.offsets();
  std::vector<bf16> out(expected[0].size());
  std::vector<float> lse(expected[1].size());
  cpu::attention::forward_by(cpu::attention::WideBlocks<bf16>({narrowed.data(), op.shape}), out.data(), lse.data(),
                             offsets.data(), int(op.lengths.size()), int(op.tokens()), op.shape);
  EXPECT_LE(relative_error(std::vector<double>(out.begin(), out.end()), expected[0]), std::sqrt(kTolerance<bf16>));
  EXPECT_LE(relative_error(std::vector<double>(lse.begin(), lse.end()), expected[1]), std::sqrt(kTolerance<float>));
}

/// Scores of +-1000 and more would overflow an exponential that is not shifted by the running maximum.
TEST(Attention, SurvivesLargeScores) {
  const Attention op{{2, 1, 4}, {300}};
  auto qkv = random_values(op.inputs()[0], 5);
  for (double& x : qkv) x = double(float(x * 60));
  const auto expected = op.forward<double>({qkv});
  const auto found = op.forward<float>({qkv});
  // A score of 1e4 carries a rounding error of 1e-3 in float.
  for (std::size_t i = 0; i < expected.size(); ++i) EXPECT_LE(relative_error(found[i], expected[i]), 1e-3);
}

/// Keys and values of packed sequences lie in a cache, backwards, with room behind each; other rows are not numbers. The last
/// token of each sequence as a query gives the last row of its attention.
template <Element T>
void expect_cached_attention(const Attention& op, double tolerance) {
  SCOPED_TRACE(op.name());
  const auto offsets = op.offsets();
  const int n = int(op.lengths.size()), tokens = offsets.back(), room = 3, width = op.shape.heads * op.shape.head_size;
  const std::size_t row = std::size_t(2 * op.shape.kv_heads * op.shape.head_size), qkv_row = std::size_t(op.shape.qkv_width());
  std::vector<std::int32_t> slots, starts, lengths;
  std::vector<T> queries;
  const auto qkv = narrow<T>(rounded<bf16>(random_values(op.inputs()[0], 3)));
  for (int s = 0; s < n; ++s) {
    starts.push_back(tokens - offsets[std::size_t(s) + 1] + (n - 1 - s) * room);
    lengths.push_back(op.lengths[std::size_t(s)]);
    for (int t = 0; t < lengths.back(); ++t) slots.push_back(starts.back() + t);
    const auto last = qkv.begin() + std::ptrdiff_t(std::size_t(offsets[std::size_t(s) + 1] - 1) * qkv_row);
    queries.insert(queries.end(), last, last + std::ptrdiff_t(qkv_row));
  }
  std::vector<T> cache(std::size_t(tokens + n * room) * row, T(std::nanf(""))), found(std::size_t(n * width));
  table<T>().cache_store(stream(), cache.data(), qkv.data(), slots.data(), tokens, op.shape);
  table<T>().attention_cached_forward(stream(), found.data(), queries.data(), cache.data(), starts.data(), lengths.data(), n,
                                      op.shape);
  const auto whole = op.forward<double>({widen<double>(qkv)})[0];
  std::vector<double> expected;
  for (int s = 0; s < n; ++s) {
    const auto last = whole.begin() + std::ptrdiff_t(offsets[std::size_t(s) + 1] - 1) * width;
    expected.insert(expected.end(), last, last + width);
  }
  EXPECT_LE(relative_error(widen<double>(found), expected), tolerance);
}

TEST(CachedAttention, IsTheLastRowOfAttention) {
  for (const AttentionShape& shape : {AttentionShape{1, 1, 2}, {6, 1, 8}, {6, 3, 4}, {4, 4, 22}})
    for (const std::vector<int>& lengths : {std::vector<int>{1}, {2, 1}, {1, 95, 3, 200}, {401}}) {
      expect_cached_attention<double>({shape, lengths}, 1e-13);
      expect_cached_attention<float>({shape, lengths}, std::sqrt(kTolerance<float>));
      expect_cached_attention<bf16>({shape, lengths}, std::sqrt(kTolerance<bf16>));
    }
}

TEST(CachedAttention, AcceptsNoSequences) {
  const AttentionShape shape{2, 1, 4};
  table<float>().cache_store(stream(), nullptr, nullptr, nullptr, 0, shape);
  table<float>().attention_cached_forward(stream(), nullptr, nullptr, nullptr, nullptr, nullptr, 0, shape);
}

TEST(Attention, WritesEveryElementOfTheGradient) {
  const Attention op{{4, 2, 6}, {0, 1, 130}};
  const auto qkv = random_values(op.inputs()[0], 5);
  const auto outputs = op.forward<double>({qkv});
  const auto dout = random_values(outputs[0].size(), 6);
  std::vector<double> dqkv(qkv.size(), std::nan(""));
  table<double>().attention_backward(stream(), dqkv.data(), dout.data(), qkv.data(), outputs[0].data(), outputs[1].data(),
                                     op.offsets().data(), int(op.lengths.size()), int(op.tokens()), op.shape);
  EXPECT_TRUE(std::all_of(dqkv.begin(), dqkv.end(), [](double x) { return std::isfinite(x); }));
}

}  // namespace
}  // namespace expunge::testing
