// Blocked attention except its products: positions of heads, softmax of a row of scores, order of the work.
#pragma once

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>
#include <vector>

#include "core/parallel.h"
#include "expunge/kernels.h"
#include "kernels/cpu/numeric.h"

namespace expunge::cpu::EXPUNGE_CPU_LEVEL::attention {

constexpr int kQueryRows = 64;  // of a block; even

/// Positions of the heads in a packed qkv (or dqkv).
template <typename T>
struct Heads {
  T* qkv;
  AttentionShape shape;
  T* query(Index token, int head) const { return at(token, head); }
  T* key(Index token, int kv_head) const { return at(token, shape.heads + kv_head); }
  T* value(Index token, int kv_head) const { return at(token, shape.heads + shape.kv_heads + kv_head); }

 private:
  T* at(Index token, int slot) const { return qkv + token * Index(shape.qkv_width()) + Index(slot) * Index(shape.head_size); }
};

inline int blocks_of(int length) { return (length + kQueryRows - 1) / kQueryRows; }

/// Queries [begin, end) of the sequence that starts at token `first`.
struct QueryBlock {
  Index first;
  int begin, end;
  QueryBlock(Index first_token, int length, int block)
      : first(first_token), begin(block * kQueryRows), end(std::min(begin + kQueryRows, length)) {}
  int rows() const { return end - begin; }
  /// Number of keys that `row` of the block sees among `keys` keys from `key_begin` on.
  int visible(int row, int key_begin, int keys) const { return std::clamp(begin + row + 1 - key_begin, 0, keys); }
};

// Scores are processed in whole vectors: a scalar tail would cost as much as the rest of a short row.
constexpr int kLanes = 16;

/// Writes `masked` after the visible scores of a row, up to a whole number of vectors, and returns that length.
template <typename A>
int mask_tail(A* scores, int visible, A masked) {
  const int length = (visible + kLanes - 1) / kLanes * kLanes;
  std::fill(scores + visible, scores + length, masked);
  return length;
}

/// Zeroes the scores after the first `length` that a product over `keys` scores reads.
template <typename A>
void zero_rest(A* scores, int length, int keys) {
  if (length < keys) std::fill(scores + length, scores + keys, A{});
}

/// Turns a row of scores into unnormalised probabilities relative to the running maximum; masked ones become 0. Returns the
/// factor for earlier sums of the row.
template <typename A>
real_t<A> softmax_row(A* scores, int visible, int keys, real_t<A> scale, real_t<A>& maximum, A& sum) {
  using R = real_t<A>;
  constexpr R kInfinity = std::numeric_limits<R>::infinity();
  const int length = mask_tail(scores, visible, A(-kInfinity));
  R block_max = -kInfinity;
#pragma omp simd reduction(max : block_max)
  for (int j = 0; j < length; ++j) block_max = real_part(scores[j]) > block_max ? real_part(scores[j]) : block_max;
  const R new_max = std::max(maximum, block_max * scale);
  const R correction = exponential(maximum - new_max);
  A block_sum{};
#pragma omp simd reduction(+ : block_sum)
  for (int j = 0; j < length; ++j) {
    scores[j] = exponential(scores[j] * scale - new_max);
    block_sum += scores[j];
  }
  zero_rest(scores, length, keys);
  sum = sum * correction + block_sum;
  maximum = new_max;
  return correction;
}

/// Turns a row of scores into probabilities p, and a row of dout v into the gradients ds of the unscaled scores. Both are 0
/// for masked keys. delta is dout . out of the row.
template <typename A>
void gradient_row(A* p, A* ds, int visible, int keys, real_t<A> scale, A lse, A delta) {
  const int length = mask_tail(p, visible, A(-std::numeric_limits<real_t<A>>::infinity()));
  mask_tail(ds, visible, A{});
#pragma omp simd
  for (int j = 0; j < length; ++j) {
    p[j] = exponential(p[j] * scale - lse);
    ds[j] = p[j] * (ds[j] - delta) * scale;
  }
  zero_rest(p, length, keys);
  zero_rest(ds, length, keys);
}

/// The part of a sequence's backward pass that one task computes for one kv head: every `parts`-th pair of a query head of
/// the group and a query block. dkv (length, 2E) receives its share of the gradients of keys and values.
template <typename A>
struct BackwardTask {
  int sequence;
  Index first;
  int length, kv_head, part, parts;
  A* dkv;
};

/// The non-empty sequences, longest first.
inline std::vector<int> longest_first(const std::int32_t* offsets, int sequences) {
  std::vector<int> order;
  for (int s = 0; s < sequences; ++s)
    if (offsets[s + 1] > offsets[s]) order.push_back(s);
  const auto length = [offsets](int s) { return offsets[s + 1] - offsets[s]; };
  std::stable_sort(order.begin(), order.end(), [&](int a, int b) { return length(a) > length(b); });
  return order;
}

/// Splits the backward pass so that no task exceeds about half a thread's share. Longest tasks come first; the tasks of one
/// kv head of a sequence are adjacent. Leaves each `dkv` null.
template <typename A>
std::vector<BackwardTask<A>> split_backward(const std::int32_t* offsets, int sequences, AttentionShape shape) {
  double total = 0;
  for (int s = 0; s < sequences; ++s) total += std::pow(offsets[s + 1] - offsets[s], 2);
  std::vector<BackwardTask<A>> tasks;
  for (const int s : longest_first(offsets, sequences)) {
    const int length = offsets[s + 1] - offsets[s], pairs = blocks_of(length) * (shape.heads / shape.kv_heads);
    const double share = double(length) * length / total / shape.kv_heads;  // share of one kv head in the whole work
    const int parts = std::clamp(int(std::ceil(share * 2 * loop_threads())), 1, pairs);
    for (int kv_head = 0; kv_head < shape.kv_heads; ++kv_head)
      for (int part = 0; part < parts; ++part) tasks.push_back({s, Index(offsets[s]), length, kv_head, part, parts, nullptr});
  }
  return tasks;
}

// `blocks` computes a block of queries. Its class has forward(out, lse, sequence, block, head, scratch) and backward(dheads,
// dkv, dout, out, lse, sequence, block, head, scratch). lse is that of the block's head, for all tokens. It also has a type
// Scratch(memory, head_size), and scratch_size(head_size) in numbers of the accumulation type.

template <typename Blocks, Element T>
void forward_by(const Blocks& blocks, T* out, acc_t<T>* lse, const std::int32_t* offsets, int sequences, int tokens,
                AttentionShape shape) {
  // All blocks of a head are adjacent, so that its keys and values stay in cache; long blocks come first, for balance.
  struct Task {
    QueryBlock block;
    int sequence, head;
  };
  std::vector<Task> tasks;
  for (const int s : longest_first(offsets, sequences))
    for (int head = 0; head < shape.heads; ++head)
      for (int length = offsets[s + 1] - offsets[s], b = blocks_of(length) - 1; b >= 0; --b)
        tasks.push_back({QueryBlock(Index(offsets[s]), length, b), s, head});
  const Index scratch_size = Blocks::scratch_size(shape.head_size);
  Buffer<acc_t<T>> memory(Device{}, Index(loop_threads()) * scratch_size);
  parallel_tasks(tasks.size(), [&](Index t, int thread) {
    typename Blocks::Scratch scratch(memory.data() + Index(thread) * scratch_size, shape.head_size);
    const Task& task = tasks[t];
    blocks.forward(out, lse + Index(task.head) * Index(tokens), task.sequence, task.block, task.head, scratch);
  });
}

template <typename Blocks, Element T>
void backward_by(const Blocks& blocks, T* dqkv, const T* dout, const T* out, const acc_t<T>* lse, const std::int32_t* offsets,
                 int sequences, int tokens, AttentionShape shape) {
  using A = acc_t<T>;
  auto tasks = split_backward<A>(offsets, sequences, shape);
  const Index width = Index(shape.head_size);
  const int group = shape.heads / shape.kv_heads;
  Index total = 0;
  for (const auto& task : tasks) total += Index(task.length) * 2 * width;
  Buffer<A> dkv(Device{}, total);
  A* next = dkv.data();
  for (auto& task : tasks) task.dkv = std::exchange(next, next + Index(task.length) * 2 * width);
  const Index scratch_size = Blocks::scratch_size(shape.head_size);
  Buffer<A> memory(Device{}, Index(loop_threads()) * scratch_size);
  const Heads<T> dheads{dqkv, shape};
  parallel_tasks(tasks.size(), [&](Index t, int thread) {
    typename Blocks::Scratch scratch(memory.data() + Index(thread) * scratch_size, shape.head_size);
    const auto& task = tasks[t];
    std::fill_n(task.dkv, Index(task.length) * 2 * width, A{});
    for (int pair = task.part; pair < blocks_of(task.length) * group; pair += task.parts) {
      const QueryBlock block(task.first, task.length, pair / group);
      const int head = task.kv_head * group + pair % group;
      blocks.backward(dheads, task.dkv, dout, out, lse + Index(head) * Index(tokens), task.sequence, block, head, scratch);
    }
  });
  // Adds the parts of a kv head in a fixed order, independent of the threads.
  parallel_tasks(tasks.size(), [&](Index t, int) {
    const auto& task = tasks[t];
    if (task.part > 0) return;
    for (int row = 0; row < task.length; ++row) {
      A* const sum = task.dkv + Index(row) * 2 * width;
      for (int part = 1; part < task.parts; ++part) {
        const A* const other = tasks[t + Index(part)].dkv + Index(row) * 2 * width;
#pragma omp simd
        for (Index j = 0; j < 2 * width; ++j) sum[j] += other[j];
      }
      T* const dkey = dheads.key(task.first + Index(row), task.kv_head);
      T* const dvalue = dheads.value(task.first + Index(row), task.kv_head);
#pragma omp simd
      for (Index j = 0; j < width; ++j) {
        store(dkey[j], sum[j]);
        store(dvalue[j], sum[width + j]);
      }
    }
  });
}

}  // namespace expunge::cpu::EXPUNGE_CPU_LEVEL::attention
