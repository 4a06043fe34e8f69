// Rotary position embedding of queries and keys, and its gradient.
#pragma once

#include "kernels/cuda/device_code.cuh"

namespace expunge::cuda {

constexpr int kMostHeadSize = 256;

template <typename A>
struct RopeAngles {
  A* cos_sin;
  const std::int32_t* positions;
  int half;
  A frequency[kMostHeadSize / 2];
  template <int N>
  __device__ void at(Index row, int i) const {
    static_assert(N == 1);
    const A angle = A(positions[row]) * frequency[i];
    A* const to = cos_sin + row * 2 * Index(half) + i;
    to[0] = cos(angle);
    to[half] = sin(angle);
  }
};
/// Computes frequencies on the host, so that they are bit-identical on every device: their error grows with the position.
template <Element T>
void rope_table(Stream& stream, acc_t<T>* cos_sin, const std::int32_t* positions, int n, int head_size, double theta) {
  using A = acc_t<T>;
  check(head_size <= kMostHeadSize, "head sizes are at most 256");
  RopeAngles<A> angles{cos_sin, positions, head_size / 2, {}};
  for (int i = 0; i < head_size / 2; ++i) angles.frequency[i] = A(1) / std::pow(A(theta), A(2 * i) / A(head_size));
  for_each_cell<1>(stream, n, head_size / 2, false, angles);
}

/// Rotates queries and keys by the angles, or back. A row is a token; a column is a pair of one of its heads.
template <typename T>
struct Rotation {
  T* qkv;
  const acc_t<T>* cos_sin;
  int half, qkv_width;
  acc_t<T> direction;
  template <int N>
  __device__ void at(Index row, int column) const {
    using A = acc_t<T>;
    const int head = column / half, i = column % half;
    T* const x = qkv + row * Index(qkv_width) + Index(head) * 2 * Index(half) + i;
    const A* const angles = cos_sin + row * 2 * Index(half) + i;
    const Pack<A, N> cosine = load<N>(angles), sine = load<N>(angles + half);
    Pack<T, N> low = load<N>(x), high = load<N>(x + half);
#pragma unroll
    for (int j = 0; j < N; ++j) {
      const A a = low.v[j], b = high.v[j], s = sine.v[j] * direction;
      low.v[j] = rounded<T>(a * cosine.v[j] - b * s);
      high.v[j] = rounded<T>(b * cosine.v[j] + a * s);
    }
    save(x, low);
    save(x + half, high);
  }
};
template <Element T>
void rotate(Stream& stream, T* qkv, const acc_t<T>* cos_sin, int n, AttentionShape shape, int direction) {
  const int half = shape.head_size / 2;
  const Rotation<T> rotation{qkv, cos_sin, half, shape.qkv_width(), acc_t<T>(direction)};
  const bool vectors = aligned(qkv, cos_sin) && half % kWide<T> == 0;  // otherwise a vector would reach into the next head
  for_each_cell<kWide<T>>(stream, n, (shape.heads + shape.kv_heads) * half, vectors, rotation);
}
template <Element T>
void rope_forward(Stream& stream, T* qkv, const acc_t<T>* cos_sin, int n, AttentionShape shape) {
  rotate(stream, qkv, cos_sin, n, shape, 1);
}
template <Element T>
void rope_backward(Stream& stream, T* dqkv, const acc_t<T>* cos_sin, int n, AttentionShape shape) {
  rotate(stream, dqkv, cos_sin, n, shape, -1);
}

}  // namespace expunge::cuda
