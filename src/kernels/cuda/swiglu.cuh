// SwiGLU, and its gradient.
#pragma once

#include "kernels/cuda/device_code.cuh"

namespace expunge::cuda {

template <typename A>
__device__ inline A sigmoid(A x) {
  return A(1) / (A(1) + exponential(-x));
}

template <typename T>
struct SwiGluForward {
  T* y;
  const T* gate_up;
  int mlp;
  template <int N>
  __device__ void at(Index row, int column) const {
    using A = acc_t<T>;
    const T* const gates = gate_up + row * 2 * Index(mlp) + column;
    const Pack<T, N> gate = load<N>(gates), up = load<N>(gates + mlp);
    Pack<T, N> product;
#pragma unroll
    for (int j = 0; j < N; ++j) {
      const A g = gate.v[j];
      product.v[j] = rounded<T>(g * sigmoid(g) * A(up.v[j]));
    }
    save(y + row * Index(mlp) + column, product);
  }
};
template <Element T>
void swiglu_forward(Stream& stream, T* y, const T* gate_up, int n, int mlp) {
  for_each_cell<kWide<T>>(stream, n, mlp, aligned(y, gate_up), SwiGluForward<T>{y, gate_up, mlp});
}

template <typename T>
struct SwiGluBackward {
  T* dgate_up;
  const T *dy, *gate_up;
  int mlp;
  template <int N>
  __device__ void at(Index row, int column) const {
    using A = acc_t<T>;
    const Index gates = row * 2 * Index(mlp) + Index(column), ups = gates + Index(mlp);
    const Pack<T, N> gate = load<N>(gate_up + gates), up = load<N>(gate_up + ups);
    const Pack<T, N> d = load<N>(dy + row * Index(mlp) + column);
    Pack<T, N> dgate, dup;
#pragma unroll
    for (int j = 0; j < N; ++j) {
      const A g = gate.v[j], dproduct = d.v[j], s = sigmoid(g);
      dgate.v[j] = rounded<T>(dproduct * A(up.v[j]) * s * (A(1) + g * (A(1) - s)));
      dup.v[j] = rounded<T>(dproduct * g * s);
    }
    save(dgate_up + gates, dgate);
    save(dgate_up + ups, dup);
  }
};
template <Element T>
void swiglu_backward(Stream& stream, T* dgate_up, const T* dy, const T* gate_up, int n, int mlp) {
  for_each_cell<kWide<T>>(stream, n, mlp, aligned(dgate_up, dy, gate_up), SwiGluBackward<T>{dgate_up, dy, gate_up, mlp});
}

}  // namespace expunge::cuda
