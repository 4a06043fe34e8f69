// Rotary position embedding (Su et al. 2021): table of angles and rotation of queries and keys.
#pragma once

#include <cmath>

#include "core/parallel.h"
#include "expunge/kernels.h"
#include "kernels/cpu/numeric.h"

namespace expunge::cpu::EXPUNGE_CPU_LEVEL {

/// For float, rounds every step to float32, like Hugging Face's Llama.
template <Element T>
void rope_table(Stream&, acc_t<T>* cos_sin, const std::int32_t* positions, int n, int head_size, double theta) {
  using R = real_t<acc_t<T>>;
  const int half = head_size / 2;
  Buffer<R> frequencies(Device{}, Index(half));
  R* const frequency = frequencies.data();
  for (int i = 0; i < half; ++i) frequency[i] = R(1) / std::pow(R(theta), R(2 * i) / R(head_size));
  parallel_for(n, Index(head_size), [&](int t) {
    acc_t<T>* const row = cos_sin + Index(t) * Index(head_size);
    for (int i = 0; i < half; ++i) {
      const R angle = R(positions[t]) * frequency[i];
      row[i] = std::cos(angle);
      row[half + i] = std::sin(angle);
    }
  });
}

/// Rotates the queries and keys of every token by its angles (direction 1) or back (-1).
template <Element T>
void rotate(T* qkv, const acc_t<T>* cos_sin, int n, AttentionShape shape, real_t<acc_t<T>> direction) {
  using A = acc_t<T>;
  const int half = shape.head_size / 2;
  parallel_for(n, Index(shape.qkv_width()), [&](int t) {
    const A* const cosine = cos_sin + Index(t) * Index(shape.head_size);
    const A* const sine = cosine + half;
    for (int head = 0; head < shape.heads + shape.kv_heads; ++head) {
      T* const x = qkv + Index(t) * Index(shape.qkv_width()) + Index(head) * Index(shape.head_size);
#pragma omp simd
      for (int i = 0; i < half; ++i) {
        const A low = x[i], high = x[half + i], s = sine[i] * direction;
        store(x[i], low * cosine[i] - high * s);
        store(x[half + i], high * cosine[i] + low * s);
      }
    }
  });
}

template <Element T>
void rope_forward(Stream&, T* qkv, const acc_t<T>* cos_sin, int n, AttentionShape shape) {
  rotate(qkv, cos_sin, n, shape, 1);
}
template <Element T>
void rope_backward(Stream&, T* dqkv, const acc_t<T>* cos_sin, int n, AttentionShape shape) {
  rotate(dqkv, cos_sin, n, shape, -1);
}

}  // namespace expunge::cpu::EXPUNGE_CPU_LEVEL
