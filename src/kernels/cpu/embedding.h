// Token embeddings: rows of a table, and the gradient scattered back to them.
#pragma once

#include <algorithm>

#include "core/parallel.h"
#include "expunge/kernels.h"
#include "kernels/cpu/numeric.h"

namespace expunge::cpu::EXPUNGE_CPU_LEVEL {

template <Element T>
void embedding_forward(Stream&, T* y, const T* table, const std::int32_t* ids, int n, int dim) {
  parallel_for(n, Index(dim), [&](int t) { std::copy_n(table + Index(ids[t]) * Index(dim), dim, y + Index(t) * Index(dim)); });
}

/// Threads share the columns, not the tokens: a repeated id is then summed in a fixed order, without atomics.
template <Element T>
void embedding_backward(Stream&, acc_t<T>* dtable, const T* dy, const std::int32_t* ids, int n, int dim) {
  constexpr int kColumns = 32;  // two cache lines of float
  parallel_for((dim + kColumns - 1) / kColumns, Index(n) * kColumns, [&](int block) {
    const int begin = block * kColumns, end = std::min(begin + kColumns, dim);
    for (int t = 0; t < n; ++t) {
      acc_t<T>* const to = dtable + Index(ids[t]) * Index(dim);
      const T* const from = dy + Index(t) * Index(dim);
#pragma omp simd
      for (int i = begin; i < end; ++i) to[i] += from[i];
    }
  });
}

}  // namespace expunge::cpu::EXPUNGE_CPU_LEVEL
