// Drawn labels against a plain implementation that sorts the whole vocabulary, and the distribution of many draws.
#include <omp.h>

#include <algorithm>
#include <numeric>
#include <set>

#include "testing.h"

namespace expunge::testing {
namespace {

template <typename A>
std::vector<std::int32_t> sample(const std::vector<A>& logits, const std::vector<std::int32_t>& excluded,
                                 const std::vector<double>& uniform, const LabelSampling& sampling) {
  std::vector<std::int32_t> chosen(excluded.size(), -7);
  table<A>().sample_labels(stream(), chosen.data(), logits.data(), excluded.data(), uniform.data(), int(excluded.size()),
                           int(logits.size() / std::max<std::size_t>(excluded.size(), 1)), sampling);
  return chosen;
}

/// The rules one after the other, in double.
std::int32_t expected_label(const double* row, std::int32_t excluded, double uniform, const LabelSampling& sampling) {
  std::vector<std::int32_t> ids(static_cast<std::size_t>(sampling.vocabulary_limit));
  std::iota(ids.begin(), ids.end(), 0);
  std::erase(ids, excluded);
  if (ids.empty()) return -1;
  std::stable_sort(ids.begin(), ids.end(), [&](int a, int b) { return row[a] > row[b]; });
  if (sampling.top_k > 0) ids.resize(std::min(ids.size(), std::size_t(sampling.top_k)));
  const auto mass = [&](std::size_t count) {
    double sum = 0;
    for (std::size_t i = 0; i < count; ++i) sum += std::exp((row[ids[i]] - row[ids[0]]) / sampling.temperature);
    return sum;
  };
  std::size_t kept = ids.size();
  if (sampling.top_p < 1)
    for (kept = 1; kept < ids.size() && mass(kept) < sampling.top_p * mass(ids.size());) ++kept;
  std::size_t rank = 0;
  while (rank + 1 < kept && mass(rank + 1) <= uniform * mass(kept)) ++rank;
  return ids[rank];
}

template <typename A>
void check_against_plain_implementation() {
  constexpr int kVocabulary = 101, kRows = 40;
  std::mt19937 generator(3);
  const auto logits = rounded<bf16>(random_values(kRows * kVocabulary, 1));
  for (const int top_k : {0, 1, 2, 7, 1000})
    for (const double top_p : {1.0, 0.9, 0.5, 0.0})
      for (const int limit : {kVocabulary, 50, 2, 1}) {
        const LabelSampling sampling{top_k, top_p, limit, limit == 50 ? 0.5 : limit == 2 ? 4.0 : 1.0};
        std::vector<std::int32_t> excluded, expected;
        std::vector<double> uniform;
        for (int t = 0; t < kRows; ++t) {
          const double* const row = logits.data() + t * kVocabulary;
          const auto best = std::int32_t(std::max_element(row, row + limit) - row);
          excluded.push_back(t % 4 == 0 ? -100 : t % 4 == 1 ? best : std::int32_t(generator() % kVocabulary));
          uniform.push_back(t == 4 ? 0 : t == 5 ? std::nextafter(1.0, 0.0) : double(generator()) * 0x1p-32);
          expected.push_back(expected_label(row, excluded.back(), uniform.back(), sampling));
        }
        EXPECT_EQ(sample(narrow<A>(logits), excluded, uniform, sampling), expected)
            << "top_k " << top_k << " top_p " << top_p << " limit " << limit;
      }
}

TEST(SampleLabels, AgreesWithAPlainImplementation) {
  check_against_plain_implementation<double>();
  check_against_plain_implementation<float>();
}

/// Pearson's statistic over the 9 ids left of 10: its 99.9 % quantile at 8 degrees of freedom is 26.1.
TEST(SampleLabels, EqualLogitsAreDrawnEquallyOften) {
  constexpr int kRows = 90000, kVocabulary = 10, kExcluded = 4;
  std::mt19937_64 generator(1);
  std::vector<double> uniform(kRows);
  for (double& u : uniform) u = double(generator() >> 11) * 0x1p-53;
  const std::vector<float> logits(std::size_t(kRows * kVocabulary), 2.5f);
  std::vector<int> counts(kVocabulary);
  for (const int id : sample(logits, std::vector<std::int32_t>(kRows, kExcluded), uniform, {0, 1, kVocabulary}))
    ++counts.at(std::size_t(id));
  EXPECT_EQ(counts[kExcluded], 0);
  double statistic = 0;
  for (int id = 0; id < kVocabulary; ++id)
    if (id != kExcluded) statistic += (counts[std::size_t(id)] - 1e4) * (counts[std::size_t(id)] - 1e4) / 1e4;
  EXPECT_LE(statistic, 26.1);
}

/// Equal weights add up without rounding, so the set at the border is known: two of four make exactly 0.5.
TEST(SampleLabels, TopPKeepsTheFewestThatReachIt) {
  const std::vector<float> logits(4, 1.0f);
  const auto kept = [&](double top_p) {
    std::set<int> ids;
    for (double u = 0; u < 1; u += 0x1p-6) ids.insert(sample(logits, {-1}, {u}, {0, top_p, 4})[0]);
    return ids;
  };
  EXPECT_EQ(kept(0.5), (std::set<int>{0, 1}));
  EXPECT_EQ(kept(0.50001), (std::set<int>{0, 1, 2}));
  EXPECT_EQ(kept(0.25), (std::set<int>{0}));
  EXPECT_EQ(kept(1), (std::set<int>{0, 1, 2, 3}));
}

TEST(SampleLabels, TopOneIsTheArgMaxWithoutTheExcludedId) {
  std::vector<float> logits(20000, -1.0f);
  const auto top = [&](std::int32_t excluded) { return sample(logits, {excluded}, {0.9}, {1, 1, 19999})[0]; };
  EXPECT_EQ(top(-1), 0);
  EXPECT_EQ(top(0), 1);
  logits[19999] = 9;  // beyond the limit
  logits[19998] = 3;
  EXPECT_EQ(top(-1), 19998);
  EXPECT_EQ(top(19999), 19998);
  EXPECT_EQ(top(19998), 0);
  logits[9000] = logits[17000] = 3;
  EXPECT_EQ(top(-1), 9000);
  EXPECT_EQ(top(9000), 17000);
}

TEST(SampleLabels, NothingLeftIsNoLabel) {
  for (const int top_k : {0, 1, 5}) EXPECT_EQ(sample<float>({1, 2, 3}, {0}, {0.5}, {top_k, 1, 1})[0], -1);
  EXPECT_TRUE(sample<float>({}, {}, {}, {0, 1, 5}).empty());
}

TEST(SampleLabels, DoesNotDependOnTheNumberOfThreads) {
  constexpr int kRows = 33, kVocabulary = 257;
  const auto logits = narrow<float>(random_values(kRows * kVocabulary, 4));
  std::vector<double> uniform(kRows);
  for (int t = 0; t < kRows; ++t) uniform[std::size_t(t)] = double(t) / kRows;
  const int threads = omp_get_max_threads();
  std::vector<std::vector<std::int32_t>> chosen;
  for (const int count : {1, 2, 5}) {
    omp_set_num_threads(count);
    chosen.push_back(sample(logits, std::vector<std::int32_t>(kRows, 3), uniform, {0, 0.95, kVocabulary}));
  }
  omp_set_num_threads(threads);
  EXPECT_EQ(chosen[1], chosen[0]);
  EXPECT_EQ(chosen[2], chosen[0]);
}

}  // namespace
}  // namespace expunge::testing
