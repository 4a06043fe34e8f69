// Mean square distance of hidden states from a target, and its gradient.
#pragma once

#include "kernels/cuda/device_code.cuh"

namespace expunge::cuda {

// One block per row; its threads take every kRowThreads-th pack of N columns. The second read of a row hits the cache.

template <typename T, int N>
__global__ void __launch_bounds__(kRowThreads)
    distance_row(acc_t<T>* signal, const T* h, const T* target, bool one_target, int dim) {
  using A = acc_t<T>;
  const Index row = Index(blockIdx.x) * Index(dim), target_row = one_target ? 0 : row;
  A squares{};
  for (int i = int(threadIdx.x) * N; i < dim; i += kRowThreads * N) {
    const Pack<T, N> a = load<N>(h + row + i), b = load<N>(target + target_row + i);
#pragma unroll
    for (int j = 0; j < N; ++j) {
      const A difference = A(a.v[j]) - A(b.v[j]);
      squares += difference * difference;
    }
  }
  squares = block_sum(squares);
  if (threadIdx.x == 0) signal[blockIdx.x] = squares / A(dim);
}
template <Element T>
void distance_forward(Stream& stream, acc_t<T>* signal, const T* h, const T* target, bool one_target, int n, int dim) {
  constexpr int kN = kWide<T>;
  const auto kernel = dim % kN == 0 && aligned(h, target) ? distance_row<T, kN> : distance_row<T, 1>;
  launch(stream, kernel, dim3(unsigned(n)), kRowThreads, 0, signal, h, target, one_target, dim);
}

template <typename T>
struct DistanceGradient {
  T* dh;
  const T *h, *target;
  const acc_t<T>* dsignal;
  bool one_target;
  int dim;
  template <int N>
  __device__ void at(Index row, int column) const {
    using A = acc_t<T>;
    const Index at = row * Index(dim) + Index(column);
    const A scale = dsignal[row] * (A(2) / A(dim));
    const Pack<T, N> a = load<N>(h + at), b = load<N>(target + (one_target ? Index(column) : at));
    Pack<T, N> gradient;
#pragma unroll
    for (int j = 0; j < N; ++j) gradient.v[j] = rounded<T>(scale * (A(a.v[j]) - A(b.v[j])));
    save(dh + at, gradient);
  }
};
template <Element T>
void distance_backward(Stream& stream, T* dh, const T* h, const T* target, bool one_target, const acc_t<T>* dsignal, int n,
                       int dim) {
  for_each_cell<kWide<T>>(stream, n, dim, aligned(dh, h, target), DistanceGradient<T>{dh, h, target, dsignal, one_target, dim});
}

}  // namespace expunge::cuda
