// Mean square distance of hidden states from a target, and its gradient.
#pragma once

#include "core/parallel.h"
#include "expunge/kernels.h"
#include "kernels/cpu/numeric.h"

namespace expunge::cpu::EXPUNGE_CPU_LEVEL {

template <Element T>
void distance_forward(Stream&, acc_t<T>* signal, const T* h, const T* target, bool one_target, int n, int dim) {
  using A = acc_t<T>;
  parallel_for(n, Index(dim), [&](int t) {
    const T* const row = h + Index(t) * Index(dim);
    const T* const target_row = one_target ? target : target + Index(t) * Index(dim);
    A squares{};
#pragma omp simd reduction(+ : squares)
    for (int i = 0; i < dim; ++i) {
      const A difference = A(row[i]) - A(target_row[i]);
      squares += difference * difference;
    }
    signal[t] = squares / real_t<A>(dim);
  });
}

template <Element T>
void distance_backward(Stream&, T* dh, const T* h, const T* target, bool one_target, const acc_t<T>* dsignal, int n, int dim) {
  using A = acc_t<T>;
  parallel_for(n, Index(dim), [&](int t) {
    T* const dh_row = dh + Index(t) * Index(dim);
    const T* const row = h + Index(t) * Index(dim);
    const T* const target_row = one_target ? target : target + Index(t) * Index(dim);
    const A scale = dsignal[t] * (real_t<A>(2) / real_t<A>(dim));
#pragma omp simd
    for (int i = 0; i < dim; ++i) store(dh_row[i], scale * (A(row[i]) - A(target_row[i])));
  });
}

}  // namespace expunge::cpu::EXPUNGE_CPU_LEVEL
