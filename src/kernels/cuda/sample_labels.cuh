// Draws one token id from each row's softmax, filtered by rank and by probability, without sorting the row.
#pragma once

#include "kernels/cuda/device_code.cuh"

namespace expunge::cuda {

// Ids by falling probability, the lowest first among equals, are ids by falling key. A key is the logit's bits, made
// monotone, followed by the complement of the id. Each step searches "the first key at which a running total reaches a
// target". The total counts ones (top-k) or weights (top-p and the draw). The search finds the key digit by digit, with one
// pass over the row each. Totals are integers, so that the order of additions does not matter: a weight is e^(logit -
// largest) in units of 2^-40.

constexpr int kDigitBits = 8, kDigits = 1 << kDigitBits;
constexpr double kWeightUnits = 0x1p40;
using Total = unsigned long long;

/// The bits of a logit as an unsigned number with the same order; NaN comes last.
__device__ inline std::uint64_t ordered_bits(float x) {
  if (x != x) return 0;
  const auto bits = std::bit_cast<std::uint32_t>(x == 0 ? 0.0f : x);
  return bits & 0x80000000u ? ~bits & 0xffffffffu : bits | 0x80000000u;
}
__device__ inline std::uint64_t ordered_bits(double x) {
  if (x != x) return 0;
  const auto bits = std::bit_cast<std::uint64_t>(x == 0 ? 0.0 : x);
  return bits >> 63 ? ~bits : bits | (std::uint64_t{1} << 63);
}

struct SampleKey {
  std::uint64_t logit;
  std::uint32_t id;  ///< complement
};
/// Digits of a key, the most significant first.
template <typename A>
struct KeyDigits {
  static constexpr int kLogit = int(sizeof(A)) * 8 / kDigitBits, kAll = kLogit + 32 / kDigitBits;
  __device__ static int digit(const SampleKey& key, int place) {
    if (place < kLogit) return int(key.logit >> ((kLogit - 1 - place) * kDigitBits)) & (kDigits - 1);
    return int(key.id >> ((kAll - 1 - place) * kDigitBits)) & (kDigits - 1);
  }
  /// Whether the first `places` digits agree.
  __device__ static bool same_prefix(const SampleKey& a, const SampleKey& b, int places) {
    const int logit_bits = (places < kLogit ? places : kLogit) * kDigitBits, id_bits = (places - kLogit) * kDigitBits;
    const std::uint64_t logits = a.logit ^ b.logit;
    const bool same_logit = logit_bits == 0 || logits >> (int(sizeof(A)) * 8 - logit_bits) == 0;
    return same_logit && (id_bits <= 0 || (a.id ^ b.id) >> (32 - id_bits) == 0);
  }
  __device__ static bool at_least(const SampleKey& a, const SampleKey& b) {
    return a.logit > b.logit || (a.logit == b.logit && a.id >= b.id);
  }
};

/// A row of logits with the filter of its ids.
template <typename A>
struct SampleRow {
  const A* logits;
  int limit;
  std::int32_t excluded;
  A largest, scale;
  SampleKey lowest{};  ///< smaller keys are filtered out

  __device__ bool has(int id) const { return id != excluded && KeyDigits<A>::at_least(key(id), lowest); }
  __device__ SampleKey key(int id) const { return {ordered_bits(logits[id]), ~std::uint32_t(id)}; }
  __device__ Total weight(int id) const {
    const double w = double(exponential((logits[id] - largest) * scale));
    return w == w ? Total(w * kWeightUnits + 0.5) : 0;
  }
};

/// The first key, in order, at which the running total reaches `target` (at least 1); the last key if it never does. All
/// threads of the block must call it; `bins` is shared.
template <typename A, typename Amount>
__device__ SampleKey first_to_reach(Total target, const SampleRow<A>& row, Total (&bins)[kDigits], Amount amount) {
  __shared__ Total remaining;
  __shared__ int chosen;
  SampleKey prefix{};
  for (int place = 0; place < KeyDigits<A>::kAll; ++place) {
    __syncthreads();
    for (int i = int(threadIdx.x); i < kDigits; i += kRowThreads) bins[i] = 0;
    __syncthreads();
    for (int id = int(threadIdx.x); id < row.limit; id += kRowThreads) {
      if (!row.has(id)) continue;
      const SampleKey key = row.key(id);
      if (KeyDigits<A>::same_prefix(key, prefix, place)) atomicAdd(&bins[KeyDigits<A>::digit(key, place)], amount(id));
    }
    __syncthreads();
    if (threadIdx.x == 0) {
      Total left = place == 0 ? target : remaining;
      int digit = kDigits - 1, last = -1;
      for (; digit >= 0; --digit) {
        if (bins[digit] == 0) continue;
        last = digit;
        if (bins[digit] >= left) break;
        left -= bins[digit];
      }
      if (digit < 0) left = last < 0 ? 1 : bins[last];  // rounding: take the last digit with a weight
      chosen = digit < 0 ? (last < 0 ? 0 : last) : digit;
      remaining = left;
    }
    __syncthreads();
    if (place < KeyDigits<A>::kLogit)
      prefix.logit |= std::uint64_t(chosen) << ((KeyDigits<A>::kLogit - 1 - place) * kDigitBits);
    else
      prefix.id |= std::uint32_t(chosen) << ((KeyDigits<A>::kAll - 1 - place) * kDigitBits);
  }
  return prefix;
}

struct MostLikely {
  std::uint64_t logit;
  std::int32_t id;  ///< -1 for none
  std::int32_t unused;
};
struct MoreLikely {
  __device__ MostLikely operator()(const MostLikely& a, const MostLikely& b) const {
    if (a.id < 0 || b.id < 0) return a.id < 0 ? b : a;
    return a.logit > b.logit || (a.logit == b.logit && a.id < b.id) ? a : b;
  }
};

template <typename A>
__global__ void __launch_bounds__(kRowThreads) sample_row(std::int32_t* chosen, const A* logits, const std::int32_t* excluded,
                                                          const double* uniform, int vocabulary, LabelSampling sampling) {
  __shared__ Total bins[kDigits];
  SampleRow<A> row{logits + Index(blockIdx.x) * Index(vocabulary), sampling.vocabulary_limit, excluded[blockIdx.x], A{},
                   A(1 / sampling.temperature)};
  MostLikely best{0, -1, 0};
  for (int id = int(threadIdx.x); id < row.limit; id += kRowThreads)
    if (id != row.excluded && row.logits[id] == row.logits[id])
      best = MoreLikely{}(best, {ordered_bits(row.logits[id]), id, 0});
  best = block_reduce(best, MoreLikely{});
  if (sampling.top_k == 1 || best.id < 0) {
    if (threadIdx.x == 0) chosen[blockIdx.x] = best.id;
    return;
  }
  row.largest = row.logits[best.id];
  const auto one = [](int) { return Total(1); };
  const auto weight = [&row](int id) { return row.weight(id); };
  const auto total = [&row] {
    Total sum = 0;
    for (int id = int(threadIdx.x); id < row.limit; id += kRowThreads)
      if (row.has(id)) sum += row.weight(id);
    return block_sum(sum);
  };
  if (sampling.top_k > 0) row.lowest = first_to_reach(Total(sampling.top_k), row, bins, one);
  Total mass = total();
  if (sampling.top_p < 1) {
    const Total target = Total(ceil(sampling.top_p * double(mass)));
    row.lowest = first_to_reach(target > 0 ? target : 1, row, bins, weight);
    mass = total();
  }
  const SampleKey drawn = first_to_reach(Total(uniform[blockIdx.x] * double(mass)) + 1, row, bins, weight);
  if (threadIdx.x == 0) chosen[blockIdx.x] = std::int32_t(~drawn.id);
}
template <Element T>
void sample_labels(Stream& stream, std::int32_t* chosen, const acc_t<T>* logits, const std::int32_t* excluded,
                   const double* uniform, int n, int vocabulary, const LabelSampling& sampling) {
  launch(stream, sample_row<acc_t<T>>, dim3(unsigned(n)), kRowThreads, 0, chosen, logits, excluded, uniform, vocabulary,
         sampling);
}

}  // namespace expunge::cuda
