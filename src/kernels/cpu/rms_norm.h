// RMSNorm (Zhang and Sennrich 2019) forward and backward.
#pragma once

#include <algorithm>

#include "core/parallel.h"
#include "expunge/kernels.h"
#include "kernels/cpu/numeric.h"

namespace expunge::cpu::EXPUNGE_CPU_LEVEL {

template <Element T>
void rms_norm_forward(Stream&, T* y, acc_t<T>* rstd, const T* x, const T* w, int n, int dim, double eps) {
  using A = acc_t<T>;
  using R = real_t<A>;
  parallel_for(n, Index(dim), [&](int t) {
    const T* const x_row = x + Index(t) * Index(dim);
    T* const y_row = y + Index(t) * Index(dim);
    A squares{};
#pragma omp simd reduction(+ : squares)
    for (int i = 0; i < dim; ++i) squares += A(x_row[i]) * A(x_row[i]);
    const A scale = R(1) / std::sqrt(squares / R(dim) + R(eps));
    rstd[t] = scale;
#pragma omp simd
    for (int i = 0; i < dim; ++i) store(y_row[i], A(x_row[i]) * scale * A(w[i]));
  });
}

/// One row: with z = x rstd and g = dy w, dx = rstd (g - z mean(g z)), and dw += dy z.
template <Element T>
void rms_norm_backward_row(T* dx, acc_t<T>* dw, const T* dy, const T* x, const T* w, acc_t<T> rstd, int dim, Write write) {
  using A = acc_t<T>;
  using R = real_t<A>;
  A mean{};
#pragma omp simd reduction(+ : mean)
  for (int i = 0; i < dim; ++i) mean += A(dy[i]) * A(w[i]) * A(x[i]);
  mean *= rstd / R(dim);
  if (dx) {
#pragma omp simd
    for (int i = 0; i < dim; ++i) {
      const A value = rstd * (A(dy[i]) * A(w[i]) - A(x[i]) * rstd * mean);
      store(dx[i], write == Write::add ? A(dx[i]) + value : value);
    }
  }
  if (dw) {
#pragma omp simd
    for (int i = 0; i < dim; ++i) dw[i] += A(dy[i]) * A(x[i]) * rstd;
  }
}

template <Element T>
void rms_norm_backward(Stream&, T* dx, acc_t<T>* dw, const T* dy, const T* x, const T* w, const acc_t<T>* rstd, int n, int dim,
                       Write write) {
  using A = acc_t<T>;
  const int parts = std::min(n, loop_threads());
  Buffer<A> partial_dw(Device{}, dw ? Index(parts) * Index(dim) : 0);
  parallel_for(parts, Index(n) * Index(dim), [&](int part) {
    A* const part_dw = dw ? partial_dw.data() + Index(part) * Index(dim) : nullptr;
    if (dw) std::fill_n(part_dw, dim, A{});
    const Index begin = Index(n) * Index(part) / Index(parts), end = Index(n) * Index(part + 1) / Index(parts);
    for (Index t = begin; t < end; ++t) {
      const Index row = t * Index(dim);
      rms_norm_backward_row(dx ? dx + row : nullptr, part_dw, dy + row, x + row, w, rstd[t], dim, write);
    }
  });
  if (!dw) return;
  for (int part = 0; part < parts; ++part) {
    const A* const part_dw = partial_dw.data() + Index(part) * Index(dim);
#pragma omp simd
    for (int i = 0; i < dim; ++i) dw[i] += part_dw[i];
  }
}

}  // namespace expunge::cpu::EXPUNGE_CPU_LEVEL
