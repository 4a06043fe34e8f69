// Attention of one query per sequence to keys and values that earlier passes stored in a cache.
#pragma once

#include <algorithm>
#include <cmath>
#include <limits>

#include "core/parallel.h"
#include "expunge/kernels.h"
#include "kernels/cpu/numeric.h"

namespace expunge::cpu::EXPUNGE_CPU_LEVEL {

template <Element T>
void cache_store(Stream&, T* cache, const T* qkv, const std::int32_t* slots, int n, AttentionShape shape) {
  const Index queries = Index(shape.heads) * Index(shape.head_size), row = Index(shape.qkv_width()) - queries;
  parallel_for(n, row, [&](int t) {
    std::copy_n(qkv + Index(t) * Index(shape.qkv_width()) + queries, row, cache + Index(slots[t]) * row);
  });
}

/// out (E) of one head; `cache` begins at its first key, `values` elements before its first value; scores (length).
template <Element T>
void attend_cached(T* out, const T* query, const T* cache, Index values, Index row, int length, int width, acc_t<T>* scores,
                   acc_t<T>* sums) {
  using A = acc_t<T>;
  using R = real_t<A>;
  const R scale = R(1) / std::sqrt(R(width));
  R maximum = -std::numeric_limits<R>::infinity();
  for (int j = 0; j < length; ++j) {
    const T* const key = cache + Index(j) * row;
    A score{};
#pragma omp simd reduction(+ : score)
    for (int e = 0; e < width; ++e) score += A(query[e]) * A(key[e]);
    scores[j] = score * scale;
    maximum = std::max(maximum, real_part(scores[j]));
  }
  A total{};
#pragma omp simd reduction(+ : total)
  for (int j = 0; j < length; ++j) {
    scores[j] = exponential(scores[j] - maximum);
    total += scores[j];
  }
  std::fill_n(sums, width, A{});
  for (int j = 0; j < length; ++j) {
    const T* const value = cache + values + Index(j) * row;
    const A weight = scores[j];
#pragma omp simd
    for (int e = 0; e < width; ++e) sums[e] += weight * A(value[e]);
  }
  for (int e = 0; e < width; ++e) store(out[e], sums[e] / total);
}

template <Element T>
void attention_cached_forward(Stream&, T* out, const T* qkv, const T* cache, const std::int32_t* starts,
                              const std::int32_t* lengths, int n, AttentionShape shape) {
  if (n == 0) return;
  using A = acc_t<T>;
  const int width = shape.head_size, group = shape.heads / shape.kv_heads;
  const Index values = Index(shape.kv_heads) * Index(width), row = 2 * values;
  const Index scratch = Index(*std::max_element(lengths, lengths + n)) + Index(width);
  Buffer<A> memory(Device{}, Index(loop_threads()) * scratch);
  A* const all = memory.data();
  parallel_tasks(Index(n) * Index(shape.heads), [&](Index task, int thread) {
    const Index s = task / Index(shape.heads), head = task % Index(shape.heads);
    A* const mine = all + Index(thread) * scratch;
    const T* const first_key = cache + Index(starts[s]) * row + head / Index(group) * Index(width);
    attend_cached(out + task * Index(width), qkv + s * Index(shape.qkv_width()) + head * Index(width), first_key, values, row,
                  lengths[s], width, mine + width, mine);
  });
}

}  // namespace expunge::cpu::EXPUNGE_CPU_LEVEL
