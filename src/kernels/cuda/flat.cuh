// Kernels over flat vectors: cast, accumulate and sum of squares.
#pragma once

#include "kernels/cuda/device_code.cuh"

namespace expunge::cuda {

template <typename T, typename A>
struct CastElements {
  T* y;
  const A* x;
  template <int N>
  __device__ void at(Index i) const {
    const Pack<A, N> from = load<N>(x + i);
    Pack<T, N> to;
#pragma unroll
    for (int j = 0; j < N; ++j) to.v[j] = rounded<T>(from.v[j]);
    save(y + i, to);
  }
};
template <Element T>
void cast(Stream& stream, T* y, const acc_t<T>* x, std::size_t n) {
  for_each_element<kWide<T>>(stream, n, aligned(y, x), CastElements<T, acc_t<T>>{y, x});
}

template <typename A>
struct AccumulateElements {
  A* y;
  const A* x;
  template <int N>
  __device__ void at(Index i) const {
    Pack<A, N> sum = load<N>(y + i);
    const Pack<A, N> more = load<N>(x + i);
#pragma unroll
    for (int j = 0; j < N; ++j) sum.v[j] += more.v[j];
    save(y + i, sum);
  }
};
template <Element T>
void accumulate(Stream& stream, acc_t<T>* y, const acc_t<T>* x, std::size_t n) {
  for_each_element<kWide<acc_t<T>>>(stream, n, aligned(y, x), AccumulateElements<acc_t<T>>{y, x});
}

/// Least number of elements per block of sum_of_squares; with kSumBlocks blocks, each takes more.
constexpr std::size_t kSumElements = 16384, kSumBlocks = 1024;

/// A thread takes kSquares neighbours at a time, with or without vector loads (kVectors), so the order is the same.
constexpr int kSquares = 4;
template <typename A, bool kVectors>
__global__ void __launch_bounds__(kRowThreads) partial_squares(double* partial, const A* x, std::size_t n) {
  double squares = 0;
  const Index first = (Index(blockIdx.x) * kRowThreads + threadIdx.x) * kSquares;
  for (Index i = first; i < n; i += Index(gridDim.x) * kRowThreads * kSquares) {
    Pack<A, kSquares> pack{};
    if (kVectors && i + kSquares <= n) {
      pack = load<kSquares>(x + i);
    } else {
#pragma unroll
      for (int j = 0; j < kSquares; ++j)
        if (i + Index(j) < n) pack.v[j] = x[i + Index(j)];
    }
#pragma unroll
    for (int j = 0; j < kSquares; ++j) squares += double(pack.v[j]) * double(pack.v[j]);
  }
  squares = block_sum(squares);
  if (threadIdx.x == 0) partial[blockIdx.x] = squares;
}
template <typename R>
__global__ void __launch_bounds__(kRowThreads) add_partials(R* sum, const R* partial, int n) {
  R total{};
  for (int i = int(threadIdx.x); i < n; i += kRowThreads) total += partial[i];
  total = block_sum(total);
  if (threadIdx.x == 0) *sum += total;
}
template <Element T>
void sum_of_squares(Stream& stream, double* sum, const acc_t<T>* x, std::size_t n) {
  const std::size_t blocks = std::min(kSumBlocks, (n + kSumElements - 1) / kSumElements);
  if (blocks == 0) return;
  double* const partial = scratch<double>(stream, blocks);
  const auto kernel = aligned(x) ? partial_squares<acc_t<T>, true> : partial_squares<acc_t<T>, false>;
  launch(stream, kernel, dim3(unsigned(blocks)), kRowThreads, 0, partial, x, n);
  launch(stream, add_partials<double>, dim3(1), kRowThreads, 0, sum, partial, int(blocks));
}

}  // namespace expunge::cuda
