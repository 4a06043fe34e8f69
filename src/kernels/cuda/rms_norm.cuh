// RMSNorm of each row, and its gradient.
#pragma once

#include "kernels/cuda/device_code.cuh"

namespace expunge::cuda {

// One block per row; its threads take every kRowThreads-th pack of N columns. The second read of a row hits the cache.

template <typename T, int N>
__global__ void __launch_bounds__(kRowThreads)
    rms_norm_row(T* y, acc_t<T>* rstd, const T* x, const T* w, int dim, acc_t<T> eps) {
  using A = acc_t<T>;
  const Index row = Index(blockIdx.x) * Index(dim);
  A squares{};
  for (int i = int(threadIdx.x) * N; i < dim; i += kRowThreads * N) {
    const Pack<T, N> values = load<N>(x + row + i);
#pragma unroll
    for (int j = 0; j < N; ++j) squares += A(values.v[j]) * A(values.v[j]);
  }
  const A scale = A(1) / sqrt(block_sum(squares) / A(dim) + eps);
  if (threadIdx.x == 0) rstd[blockIdx.x] = scale;
  for (int i = int(threadIdx.x) * N; i < dim; i += kRowThreads * N) {
    const Pack<T, N> values = load<N>(x + row + i), weights = load<N>(w + i);
    Pack<T, N> normal;
#pragma unroll
    for (int j = 0; j < N; ++j) normal.v[j] = rounded<T>(A(values.v[j]) * scale * A(weights.v[j]));
    save(y + row + i, normal);
  }
}
template <Element T>
void rms_norm_forward(Stream& stream, T* y, acc_t<T>* rstd, const T* x, const T* w, int n, int dim, double eps) {
  constexpr int kN = kWide<T>;
  const auto kernel = dim % kN == 0 && aligned(y, x, w) ? rms_norm_row<T, kN> : rms_norm_row<T, 1>;
  launch(stream, kernel, dim3(unsigned(n)), kRowThreads, 0, y, rstd, x, w, dim, acc_t<T>(eps));
}

/// Block p takes rows p, p + parts .. With z = x rstd and g = dy w: dx = rstd (g - z mean(g z)). The block's part of dw is
/// the sum of dy z over its rows, kept in shared memory.
template <typename T, int N>
__global__ void __launch_bounds__(kRowThreads) rms_norm_gradient(T* dx, acc_t<T>* part_dw, const T* dy, const T* x, const T* w,
                                                                 const acc_t<T>* rstd, int n, int dim, Write write) {
  using A = acc_t<T>;
  A* const sums = reinterpret_cast<A*>(dynamic_shared());  // (dim); one thread accesses each column
  if (part_dw)
    for (int i = int(threadIdx.x) * N; i < dim; i += kRowThreads * N)
      for (int j = 0; j < N; ++j) sums[i + j] = A{};
  for (int t = int(blockIdx.x); t < n; t += int(gridDim.x)) {
    const Index row = Index(t) * Index(dim);
    const A scale = rstd[t];
    A mean{};
    for (int i = int(threadIdx.x) * N; i < dim; i += kRowThreads * N) {
      const Pack<T, N> d = load<N>(dy + row + i), values = load<N>(x + row + i), weights = load<N>(w + i);
#pragma unroll
      for (int j = 0; j < N; ++j) mean += A(d.v[j]) * A(weights.v[j]) * A(values.v[j]);
    }
    mean = block_sum(mean) * (scale / A(dim));
    for (int i = int(threadIdx.x) * N; i < dim; i += kRowThreads * N) {
      const Pack<T, N> d = load<N>(dy + row + i), values = load<N>(x + row + i), weights = load<N>(w + i);
      if (dx) {
        Pack<T, N> gradient;
        if (write == Write::add) gradient = load<N>(dx + row + i);
#pragma unroll
        for (int j = 0; j < N; ++j) {
          const A value = scale * (A(d.v[j]) * A(weights.v[j]) - A(values.v[j]) * scale * mean);
          gradient.v[j] = rounded<T>(write == Write::add ? A(gradient.v[j]) + value : value);
        }
        save(dx + row + i, gradient);
      }
      if (part_dw) {
#pragma unroll
        for (int j = 0; j < N; ++j) sums[i + j] += A(d.v[j]) * A(values.v[j]) * scale;
      }
    }
  }
  if (part_dw)
    for (int i = int(threadIdx.x) * N; i < dim; i += kRowThreads * N)
      for (int j = 0; j < N; ++j) part_dw[Index(blockIdx.x) * Index(dim) + Index(i + j)] = sums[i + j];
}
/// sum[column] += the parts' sums, in order.
template <typename A>
struct AddRows {
  A* sum;
  const A* rows;
  int count, columns;
  template <int N>
  __device__ void at(Index i) const {
    static_assert(N == 1);
    A total{};
    for (int row = 0; row < count; ++row) total += rows[Index(row) * Index(columns) + i];
    sum[i] += total;
  }
};
/// Number of parts for a gradient of n rows: a few blocks per multiprocessor of the largest GPUs.
inline int rms_norm_parts(int n) { return std::min(n, 512); }
template <Element T>
void rms_norm_backward(Stream& stream, T* dx, acc_t<T>* dw, const T* dy, const T* x, const T* w, const acc_t<T>* rstd, int n,
                       int dim, Write write) {
  using A = acc_t<T>;
  constexpr int kN = kWide<T>;
  const int parts = rms_norm_parts(n);
  const std::size_t shared = dw ? Index(dim) * sizeof(A) : 0;
  A* const part_dw = dw ? scratch<A>(stream, Index(parts) * Index(dim)) : nullptr;
  const auto kernel = dim % kN == 0 && aligned(dx, dy, x, w) ? rms_norm_gradient<T, kN> : rms_norm_gradient<T, 1>;
  launch(stream, kernel, dim3(unsigned(parts)), kRowThreads, shared, dx, part_dw, dy, x, w, rstd, n, dim, write);
  if (dw && n > 0) for_each_element<1>(stream, Index(dim), false, AddRows<A>{dw, part_dw, parts, dim});
}

}  // namespace expunge::cuda
