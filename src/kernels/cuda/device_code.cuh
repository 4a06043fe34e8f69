// Building blocks of kernels: CUDA's own functions, and instructions without a C++ name. The tests compile the same kernels
// for the host with a stand-in for both (tests/cuda/emulator).
#pragma once

#include <cuda_runtime.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <type_traits>

#include "core/cuda/cuda_stream.h"
#include "expunge/error.h"
#include "expunge/kernels.h"

#include <ptx/instructions.cuh>  // NVIDIA's, or the tests' stand-in, which comes first on the path

namespace expunge::cuda {

// Indices are std::size_t, because tokens x vocabulary overflows an int.
using Index = std::size_t;

constexpr int kWarp = 32;
constexpr unsigned kAllLanes = 0xffffffffu;
constexpr std::size_t kVectorBytes = 16;  // the widest access of a thread
/// Shared memory per block on the GPUs with the least: compute capability 8.6 and 8.9.
constexpr std::size_t kMostShared = std::size_t{99} << 10;

/// Rounds the quotient up.
__host__ __device__ constexpr int divide_up(int n, int by) { return (n + by - 1) / by; }

/// Enqueues a kernel; does nothing for an empty grid.
template <typename... Parameters, typename... Arguments>
void launch(Stream& stream, void (*kernel)(Parameters...), dim3 grid, int threads, std::size_t shared_bytes,
            const Arguments&... arguments) {
  if (grid.x == 0 || grid.y == 0 || grid.z == 0) return;
  constexpr std::size_t kWithoutAsking = std::size_t{48} << 10;
  check(shared_bytes <= kMostShared, "a block's shared memory is what every GPU has");
  if (shared_bytes > kWithoutAsking)
    must(cudaFuncSetAttribute(reinterpret_cast<const void*>(kernel), cudaFuncAttributeMaxDynamicSharedMemorySize,
                              static_cast<int>(shared_bytes)),
         "cudaFuncSetAttribute");
  launch_kernel(handle(stream), kernel, grid, threads, shared_bytes, static_cast<Parameters>(arguments)...);
  must(cudaGetLastError(), "kernel launch");
}

/// Memory for n elements for the next launched kernels, valid until the next call.
template <typename E>
E* scratch(Stream& stream, std::size_t n) {
  return reinterpret_cast<E*>(static_cast<CudaStream&>(stream).scratch(n * sizeof(E)));
}

/// N adjacent elements that are read and written at once.
template <typename T, int N>
struct alignas(sizeof(T) * N < kVectorBytes ? sizeof(T) * N : kVectorBytes) Pack {
  T v[N];
};
template <int N, typename T>
__device__ inline Pack<T, N> load(const T* from) {
  return *reinterpret_cast<const Pack<T, N>*>(from);
}
template <int N, typename T>
__device__ inline void save(T* to, const Pack<T, N>& pack) {
  *reinterpret_cast<Pack<T, N>*>(to) = pack;
}

/// Number of elements of T in a whole vector.
template <typename T>
constexpr int kWide = int(kVectorBytes / sizeof(T));

template <typename... Pointers>
bool aligned(const Pointers*... pointers) {
  return ((reinterpret_cast<std::uintptr_t>(pointers) % kVectorBytes == 0) && ...);
}

/// value as T, rounded to nearest even.
template <typename T, typename A>
__device__ inline T rounded(A value) {
  if constexpr (std::is_same_v<T, bf16>)
    return round_bf16(float(value));
  else
    return T(value);
}

__device__ inline float exponential(float x) { return expf(x); }
__device__ inline double exponential(double x) { return exp(x); }
/// Factor of a sum of e^(x - from) when the maximum becomes `to`.
template <typename A>
__device__ inline A rescale(A from, A to) {
  return from == to ? A(1) : exponential(from - to);  // also if both are minus infinity, before the first element
}
__device__ inline float logarithm(float x) { return logf(x); }
__device__ inline double logarithm(double x) { return log(x); }

// Reductions combine in a fixed order, independent of timing. `combine(a, b)` may be a plain function object of two values.

template <typename R, typename Combine>
__device__ inline R warp_reduce(R value, Combine combine) {
  for (int distance = kWarp / 2; distance > 0; distance /= 2) value = combine(value, shuffle_xor(value, distance));
  return value;
}

/// Every thread gets the result. All threads of the block, at most 1024, must call it together.
template <typename R, typename Combine>
__device__ inline R block_reduce(R value, Combine combine) {
  __shared__ R partial[kWarp];
  value = warp_reduce(value, combine);
  __syncthreads();  // all threads have read an earlier call's results
  if (threadIdx.x % kWarp == 0) partial[threadIdx.x / kWarp] = value;
  __syncthreads();
  R result = partial[0];
  for (int warp = 1; warp < int(blockDim.x) / kWarp; ++warp) result = combine(result, partial[warp]);
  return result;
}

struct Plus {
  template <typename R>
  __device__ R operator()(R a, R b) const {
    return a + b;
  }
};
template <typename R>
__device__ inline R block_sum(R value) {
  return block_reduce(value, Plus{});
}

/// Threads per block in kernels with one block per row.
constexpr int kRowThreads = 256;

/// Applies `f.template at<N>(i)` to i = 0, N, 2N .. of n elements, and N = 1 to the rest.
template <int N, typename F>
__global__ void __launch_bounds__(kRowThreads) flat_kernel(F f, std::size_t n) {
  const Index i = (Index(blockIdx.x) * kRowThreads + threadIdx.x) * N;
  if (i + N <= n)
    f.template at<N>(i);
  else
    for (Index j = i; j < n; ++j) f.template at<1>(j);
}
template <int N, typename F>
void for_each_element(Stream& stream, std::size_t n, bool vectors, const F& f) {
  const auto blocks = [&](std::size_t per_thread) {
    const std::size_t per_block = kRowThreads * per_thread;
    return dim3(static_cast<unsigned>((n + per_block - 1) / per_block));
  };
  if (vectors)
    launch(stream, flat_kernel<N, F>, blocks(N), kRowThreads, 0, f, n);
  else
    launch(stream, flat_kernel<1, F>, blocks(1), kRowThreads, 0, f, n);
}

/// Applies `f.template at<N>(row, column)` to every N-th column of each row. `columns` is a multiple of N.
template <int N, typename F>
__global__ void __launch_bounds__(kRowThreads) grid_kernel(F f, int columns) {
  const int column = (int(blockIdx.y) * kRowThreads + int(threadIdx.x)) * N;
  if (column < columns) f.template at<N>(Index(blockIdx.x), column);
}
template <int N, typename F>
void for_each_cell(Stream& stream, int rows, int columns, bool vectors, const F& f) {
  const auto grid = [&](int per_thread) {
    return dim3(unsigned(rows), unsigned(divide_up(columns, kRowThreads * per_thread)));
  };
  if (vectors && columns % N == 0)
    launch(stream, grid_kernel<N, F>, grid(N), kRowThreads, 0, f, columns);
  else
    launch(stream, grid_kernel<1, F>, grid(1), kRowThreads, 0, f, columns);
}

}  // namespace expunge::cuda
