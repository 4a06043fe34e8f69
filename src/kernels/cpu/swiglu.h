// SwiGLU (Shazeer 2020): y = silu(gate) up.
#pragma once

#include "core/parallel.h"
#include "expunge/kernels.h"
#include "kernels/cpu/numeric.h"

namespace expunge::cpu::EXPUNGE_CPU_LEVEL {

template <typename A>
A sigmoid(A x) {
  using R = real_t<A>;
  return R(1) / (R(1) + exponential(-x));
}

template <Element T>
void swiglu_forward(Stream&, T* y, const T* gate_up, int n, int mlp) {
  using A = acc_t<T>;
  parallel_for(n, 2 * Index(mlp), [&](int t) {
    const T* const gate = gate_up + Index(t) * 2 * Index(mlp);
    const T* const up = gate + mlp;
    T* const y_row = y + Index(t) * Index(mlp);
#pragma omp simd
    for (int i = 0; i < mlp; ++i) {
      const A g = gate[i];
      store(y_row[i], g * sigmoid(g) * A(up[i]));
    }
  });
}

template <Element T>
void swiglu_backward(Stream&, T* dgate_up, const T* dy, const T* gate_up, int n, int mlp) {
  using A = acc_t<T>;
  using R = real_t<A>;
  parallel_for(n, 2 * Index(mlp), [&](int t) {
    const T* const gate = gate_up + Index(t) * 2 * Index(mlp);
    const T* const up = gate + mlp;
    T* const dgate = dgate_up + Index(t) * 2 * Index(mlp);
    T* const dup = dgate + mlp;
    const T* const dy_row = dy + Index(t) * Index(mlp);
#pragma omp simd
    for (int i = 0; i < mlp; ++i) {
      const A g = gate[i], d = dy_row[i], s = sigmoid(g);
      store(dgate[i], d * A(up[i]) * s * (R(1) + g * (R(1) - s)));
      store(dup[i], d * g * s);
    }
  });
}

}  // namespace expunge::cpu::EXPUNGE_CPU_LEVEL
