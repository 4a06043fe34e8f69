// Mean and variance of the log-probability of a token drawn from each row's softmax.
#pragma once

#include <algorithm>

#include "core/parallel.h"
#include "expunge/kernels.h"
#include "kernels/cpu/numeric.h"

namespace expunge::cpu::EXPUNGE_CPU_LEVEL {

/// Computes moments of cache-sized blocks about their own mean and merges them (Chan, Golub and LeVeque 1983). This reads the
/// row from memory once and avoids E[x^2] - E[x]^2, which loses all digits for a nearly uniform row. The variance is a sum of
/// squares, so it is not negative.
template <Element T>
void log_prob_moments(Stream&, acc_t<T>* mean, acc_t<T>* variance, const acc_t<T>* logits, const acc_t<T>* lse, int n,
                      int vocabulary) {
  using A = acc_t<T>;
  using Wide = wide_sum_t<A>;
  constexpr int kBlock = 512;
  parallel_for(n, Index(vocabulary), [&](int t) {
    const A* const row = logits + Index(t) * Index(vocabulary);
    const A shift = lse[t];
    Wide weight{}, centre{}, squares{};
    A p[kBlock];
    for (int begin = 0; begin < vocabulary; begin += kBlock) {
      const int size = std::min(kBlock, vocabulary - begin);
      const A* const block = row + begin;
      A block_weight{}, block_mean{}, block_squares{};
#pragma omp simd reduction(+ : block_weight, block_mean)
      for (int i = 0; i < size; ++i) {
        p[i] = exponential(block[i] - shift);
        block_weight += p[i];
        block_mean += p[i] * (block[i] - shift);
      }
      if (block_weight == A{}) continue;  // all probabilities of the block underflow A
      block_mean /= block_weight;
#pragma omp simd reduction(+ : block_squares)
      for (int i = 0; i < size; ++i) {
        const A deviation = (block[i] - shift) - block_mean;
        block_squares += p[i] * deviation * deviation;
      }
      const Wide total = weight + block_weight, step = block_mean - centre, share = Wide(block_weight) / total;
      squares += block_squares + step * step * weight * share;
      centre += step * share;
      weight = total;
    }
    mean[t] = A(centre);
    variance[t] = A(squares / weight);
  });
}

}  // namespace expunge::cpu::EXPUNGE_CPU_LEVEL
