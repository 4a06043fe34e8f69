// Kernels over flat vectors: sum of squares, cast and accumulate.
#pragma once

#include <algorithm>

#include "core/parallel.h"
#include "expunge/kernels.h"
#include "kernels/cpu/numeric.h"

namespace expunge::cpu::EXPUNGE_CPU_LEVEL {

constexpr Index kFlatGrain = 4096;  // least number of elements per thread

// Loops of one thread over a flat vector. They take plain arguments, because GCC does not vectorise loops over lambda
// captures.

template <typename A>
double squares_of_range(const A* x, Index n) {
  double squares = 0;
#pragma omp simd reduction(+ : squares)
  for (Index i = 0; i < n; ++i) squares += double(real_part(x[i])) * double(real_part(x[i]));
  return squares;
}

template <typename T, typename A>
void cast_range(T* y, const A* x, Index n) {
#pragma omp simd
  for (Index i = 0; i < n; ++i) store(y[i], x[i]);
}

template <typename A>
void accumulate_range(A* y, const A* x, Index n) {
#pragma omp simd
  for (Index i = 0; i < n; ++i) y[i] += x[i];
}

/// Sums blocks of fixed size, whatever the number of threads, and adds their sums in order.
template <Element T>
void sum_of_squares(Stream&, double* sum, const acc_t<T>* x, std::size_t n) {
  constexpr Index kBlock = 16384;
  const Index blocks = (n + kBlock - 1) / kBlock;
  Buffer<double> partial(Device{}, blocks);
  double* const block_sums = partial.data();
  parallel_for(blocks, kBlock, [=](Index block) {
    block_sums[block] = squares_of_range(x + block * kBlock, std::min(kBlock, n - block * kBlock));
  });
  for (Index block = 0; block < blocks; ++block) *sum += block_sums[block];
}

template <Element T>
void cast(Stream&, T* y, const acc_t<T>* x, std::size_t n) {
  parallel_ranges(n, kFlatGrain, [=](Index begin, Index end) { cast_range(y + begin, x + begin, end - begin); });
}

template <Element T>
void accumulate(Stream&, acc_t<T>* y, const acc_t<T>* x, std::size_t n) {
  parallel_ranges(n, kFlatGrain, [=](Index begin, Index end) { accumulate_range(y + begin, x + begin, end - begin); });
}

}  // namespace expunge::cpu::EXPUNGE_CPU_LEVEL
