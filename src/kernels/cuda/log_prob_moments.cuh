// Moments of the log-probability of rows of logits.
#pragma once

#include "kernels/cuda/device_code.cuh"

namespace expunge::cuda {

// One block per row; its threads take every kRowThreads-th pack of N logits.

/// Two passes avoid E[x^2] - E[x]^2, which loses all digits for a nearly uniform row. The variance is a sum of squares, so it
/// is not negative.
template <typename A, int N>
__global__ void __launch_bounds__(kRowThreads)
    moments_row(A* mean, A* variance, const A* logits, const A* lse, int vocabulary) {
  const A* const row = logits + Index(blockIdx.x) * Index(vocabulary);
  const A shift = lse[blockIdx.x];
  double weight = 0, first = 0, squares = 0;
  for (int i = int(threadIdx.x) * N; i < vocabulary; i += kRowThreads * N) {
    const Pack<A, N> x = load<N>(row + i);
    A pack_weight{}, pack_first{};
#pragma unroll
    for (int j = 0; j < N; ++j) {
      const A p = exponential(x.v[j] - shift);
      pack_weight += p;
      pack_first += p * (x.v[j] - shift);
    }
    weight += double(pack_weight);
    first += double(pack_first);
  }
  weight = block_sum(weight);
  const double centre = block_sum(first) / weight;
  for (int i = int(threadIdx.x) * N; i < vocabulary; i += kRowThreads * N) {
    const Pack<A, N> x = load<N>(row + i);
    A pack_squares{};
#pragma unroll
    for (int j = 0; j < N; ++j) {
      const A deviation = (x.v[j] - shift) - A(centre);
      pack_squares += exponential(x.v[j] - shift) * deviation * deviation;
    }
    squares += double(pack_squares);
  }
  squares = block_sum(squares);
  if (threadIdx.x != 0) return;
  mean[blockIdx.x] = A(centre);
  variance[blockIdx.x] = A(squares / weight);
}
template <Element T>
void log_prob_moments(Stream& stream, acc_t<T>* mean, acc_t<T>* variance, const acc_t<T>* logits, const acc_t<T>* lse, int n,
                      int vocabulary) {
  using A = acc_t<T>;
  const auto kernel = vocabulary % kWide<A> == 0 && aligned(logits) ? moments_row<A, kWide<A>> : moments_row<A, 1>;
  launch(stream, kernel, dim3(unsigned(n)), kRowThreads, 0, mean, variance, logits, lse, vocabulary);
}

}  // namespace expunge::cuda
