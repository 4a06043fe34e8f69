// Causal grouped-query attention over packed sequences, blocked over queries and keys (Dao et al. 2022), memory linear in T.
#pragma once

#include <omp.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "kernels/cpu/product.h"

namespace expunge::cpu {
namespace attention {

constexpr int kQueryRows = 64, kKeyRows = 384;  // of a block; kKeyRows is a multiple of kLanes. Fastest of those tried on Zen 4

/// Where the heads of a packed qkv (or dqkv) lie.
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
  /// Keys that `row` of the block sees among `keys` keys from `key_begin` on.
  int visible(int row, int key_begin, int keys) const { return std::clamp(begin + row + 1 - key_begin, 0, keys); }
};

/// Whether rows so many bytes apart fall on the same few lines of the cache (64 sets of 64 bytes) when they are read again and
/// again, as those of a packed qkv do for most widths.
constexpr bool rows_collide(std::size_t stride_bytes) { return stride_bytes % 1024 == 0; }

/// Rows of one head in the accumulation type: in place where T is that type and the rows lie well, else brought together in
/// `dense`.
template <Element T>
Operand<acc_t<T>> rows_of(const T* from, int stride, int rows, int width, acc_t<T>* dense) {
  if constexpr (std::same_as<T, acc_t<T>>)
    if (!rows_collide(std::size_t(stride) * sizeof(T))) return plain(from, stride);
  for (int i = 0; i < rows; ++i) {
    const T* const row = from + Index(i) * Index(stride);
#pragma omp simd
    for (int j = 0; j < width; ++j) dense[Index(i) * Index(width) + Index(j)] = row[j];
  }
  return plain(static_cast<const acc_t<T>*>(dense), width);
}

/// What one thread works in. Rows of a head are head_size wide, rows of scores kKeyRows.
template <typename A>
class Scratch {
 public:
  Scratch(A* memory, int head_size) {
    const Index query_block = Index(kQueryRows) * Index(head_size), key_block = Index(kKeyRows) * Index(head_size);
    const auto take = [&memory](Index size) { return std::exchange(memory, memory + size); };
    scores = take(kScores), dscores = take(kScores), row_sum = take(kQueryRows);
    query = take(query_block), dout = take(query_block), result = take(query_block);
    key = take(key_block), value = take(key_block);
  }
  static Index size(int head_size) {
    return 2 * kScores + kQueryRows + Index(3 * kQueryRows + 2 * kKeyRows) * Index(head_size);
  }

  A *scores, *dscores;       // (kQueryRows, kKeyRows)
  A* row_sum;                // (kQueryRows): softmax denominators, or dout . out
  A *query, *dout, *result;  // (kQueryRows, E)
  A *key, *value;            // (kKeyRows, E)
  real_t<A> row_max[kQueryRows];

 private:
  static constexpr Index kScores = Index(kQueryRows) * kKeyRows;
};

constexpr int kLanes =
    16;  // loops over scores run in whole vectors: scalar tails would cost as much as the rest of a short row

/// Writes `masked` behind the visible scores of a row, up to a whole number of vectors, and returns that length.
template <typename A>
int mask_tail(A* scores, int visible, A masked) {
  const int length = (visible + kLanes - 1) / kLanes * kLanes;
  std::fill(scores + visible, scores + length, masked);
  return length;
}

/// Zeroes what a product over `keys` scores reads behind the first `length`.
template <typename A>
void zero_rest(A* scores, int length, int keys) {
  if (length < keys) std::fill(scores + length, scores + keys, A{});
}

/// Turns a row of scores into unnormalised probabilities relative to the running maximum; masked ones become 0. Returns what
/// earlier sums of the row have to be multiplied by.
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

/// out and lse of one block of queries of one head.
template <Element T>
void forward_block(T* out, acc_t<T>* lse, Heads<const T> heads, const QueryBlock& block, int head, Scratch<acc_t<T>>& scratch) {
  using A = acc_t<T>;
  using R = real_t<A>;
  const AttentionShape& shape = heads.shape;
  const int width = shape.head_size, stride = shape.qkv_width(), kv_head = head / (shape.heads / shape.kv_heads);
  const int rows = block.rows();
  const R scale = R(1) / std::sqrt(R(width));
  const Index first_query = block.first + Index(block.begin);
  const auto query = rows_of<T>(heads.query(first_query, head), stride, rows, width, scratch.query);
  std::fill_n(scratch.row_max, rows, -std::numeric_limits<R>::infinity());
  std::fill_n(scratch.row_sum, rows, A{});
  for (int key_begin = 0; key_begin < block.end; key_begin += kKeyRows) {
    const int keys = std::min(kKeyRows, block.end - key_begin);
    const Index first_key = block.first + Index(key_begin);
    const auto key = rows_of<T>(heads.key(first_key, kv_head), stride, keys, width, scratch.key);
    const auto value = rows_of<T>(heads.value(first_key, kv_head), stride, keys, width, scratch.value);
    product(Write::set, scratch.scores, kKeyRows, query, flip(key), {rows, keys, width});
    for (int i = 0; i < rows; ++i) {
      const R correction = softmax_row(scratch.scores + i * kKeyRows, block.visible(i, key_begin, keys), keys, scale,
                                       scratch.row_max[i], scratch.row_sum[i]);
      if (key_begin == 0) continue;
      A* const result_row = scratch.result + Index(i) * Index(width);
#pragma omp simd
      for (int j = 0; j < width; ++j) result_row[j] *= correction;
    }
    product(key_begin == 0 ? Write::set : Write::add, scratch.result, width, plain<A>(scratch.scores, kKeyRows), value,
            {rows, width, keys});
  }
  for (int i = 0; i < rows; ++i) {
    const A inverse = R(1) / scratch.row_sum[i];
    const A* const result_row = scratch.result + Index(i) * Index(width);
    T* const out_row = out + ((first_query + Index(i)) * Index(shape.heads) + Index(head)) * Index(width);
#pragma omp simd
    for (int j = 0; j < width; ++j) store(out_row[j], result_row[j] * inverse);
    lse[first_query + Index(i)] = scratch.row_max[i] + std::log(scratch.row_sum[i]);
  }
}

/// The part of a sequence's backward pass that one task does for one kv head: every `parts`-th of the pairs (query head of the
/// group, query block). dkv (length, 2E) gets its share of the gradients of keys and values.
template <typename A>
struct BackwardTask {
  Index first;
  int length, kv_head, part, parts;
  A* dkv;
};

/// Adds the gradients through one block of queries and one block of keys: dq += ds k, dk += ds^T q, dv += p^T do.
template <typename A>
void backward_pair(A* dkv, const A* lse, const QueryBlock& block, int key_begin, int keys, int width, Operand<A> query,
                   Operand<A> dout, Operand<A> key, Operand<A> value, Scratch<A>& scratch) {
  using R = real_t<A>;
  const R scale = R(1) / std::sqrt(R(width));
  const int rows = block.rows();
  product(Write::set, scratch.scores, kKeyRows, query, flip(key), {rows, keys, width});
  product(Write::set, scratch.dscores, kKeyRows, dout, flip(value), {rows, keys, width});
  for (int i = 0; i < rows; ++i) {
    A* const p = scratch.scores + i * kKeyRows;
    A* const ds = scratch.dscores + i * kKeyRows;
    const int visible = block.visible(i, key_begin, keys);
    const int length = mask_tail(p, visible, A(-std::numeric_limits<R>::infinity()));
    mask_tail(ds, visible, A{});
    const A row_lse = lse[i], delta = scratch.row_sum[i];
#pragma omp simd
    for (int j = 0; j < length; ++j) {
      p[j] = exponential(p[j] * scale - row_lse);
      ds[j] = p[j] * (ds[j] - delta) * scale;
    }
    zero_rest(p, length, keys);
    zero_rest(ds, length, keys);
  }
  const auto p = plain<A>(scratch.scores, kKeyRows), ds = plain<A>(scratch.dscores, kKeyRows);
  A* const dk = dkv + Index(key_begin) * 2 * Index(width);
  product(key_begin == 0 ? Write::set : Write::add, scratch.result, width, ds, key, {rows, width, keys});
  product(Write::add, dk, 2 * width, flip(ds), query, {keys, width, rows});
  product(Write::add, dk + width, 2 * width, flip(p), dout, {keys, width, rows});
}

/// dq of one block of queries of one head, and what it adds to dk and dv.
template <Element T>
void backward_block(Heads<T> dheads, acc_t<T>* dkv, const T* dout, Heads<const T> heads, const T* out, const acc_t<T>* lse,
                    const QueryBlock& block, int head, Scratch<acc_t<T>>& scratch) {
  using A = acc_t<T>;
  const AttentionShape& shape = heads.shape;
  const int width = shape.head_size, stride = shape.qkv_width(), kv_head = head / (shape.heads / shape.kv_heads);
  const int rows = block.rows();
  const Index first_query = block.first + Index(block.begin);
  const Index first_out = (first_query * Index(shape.heads) + Index(head)) * Index(width);
  const auto query = rows_of<T>(heads.query(first_query, head), stride, rows, width, scratch.query);
  const auto dout_rows = rows_of<T>(dout + first_out, shape.heads * width, rows, width, scratch.dout);
  for (int i = 0; i < rows; ++i) {
    const Index row = first_out + Index(i) * Index(shape.heads) * Index(width);
    A delta{};
#pragma omp simd reduction(+ : delta)
    for (int j = 0; j < width; ++j) delta += A(dout[row + Index(j)]) * A(out[row + Index(j)]);
    scratch.row_sum[i] = delta;
  }
  for (int key_begin = 0; key_begin < block.end; key_begin += kKeyRows) {
    const int keys = std::min(kKeyRows, block.end - key_begin);
    const Index first_key = block.first + Index(key_begin);
    const auto key = rows_of<T>(heads.key(first_key, kv_head), stride, keys, width, scratch.key);
    const auto value = rows_of<T>(heads.value(first_key, kv_head), stride, keys, width, scratch.value);
    backward_pair(dkv, lse + first_query, block, key_begin, keys, width, query, dout_rows, key, value, scratch);
  }
  for (int i = 0; i < rows; ++i) {
    T* const dquery = dheads.query(first_query + Index(i), head);
#pragma omp simd
    for (int j = 0; j < width; ++j) store(dquery[j], scratch.result[Index(i) * Index(width) + Index(j)]);
  }
}

/// The sequences that are not empty.
inline std::vector<int> longest_first(const std::int32_t* offsets, int sequences) {
  std::vector<int> order;
  for (int s = 0; s < sequences; ++s)
    if (offsets[s + 1] > offsets[s]) order.push_back(s);
  const auto length = [offsets](int s) { return offsets[s + 1] - offsets[s]; };
  std::stable_sort(order.begin(), order.end(), [&](int a, int b) { return length(a) > length(b); });
  return order;
}

/// Splits the backward pass so that no task does more than about half a thread's share. Longest tasks first; the tasks of one
/// kv head of a sequence follow one another. `dkv` of each is left null.
template <typename A>
std::vector<BackwardTask<A>> plan_backward(const std::int32_t* offsets, int sequences, AttentionShape shape) {
  double total = 0;
  for (int s = 0; s < sequences; ++s) total += std::pow(offsets[s + 1] - offsets[s], 2);
  std::vector<BackwardTask<A>> tasks;
  for (const int s : longest_first(offsets, sequences)) {
    const int length = offsets[s + 1] - offsets[s], pairs = blocks_of(length) * (shape.heads / shape.kv_heads);
    const double share = double(length) * length / total / shape.kv_heads;  // of the whole work, in one kv head
    const int parts = std::clamp(int(std::ceil(share * 2 * omp_get_max_threads())), 1, pairs);
    for (int kv_head = 0; kv_head < shape.kv_heads; ++kv_head)
      for (int part = 0; part < parts; ++part) tasks.push_back({Index(offsets[s]), length, kv_head, part, parts, nullptr});
  }
  return tasks;
}

}  // namespace attention

template <Element T>
void attention_forward(Stream&, T* out, acc_t<T>* lse, const T* qkv, const std::int32_t* offsets, int sequences, int tokens,
                       AttentionShape shape) {
  using namespace attention;
  using A = acc_t<T>;
  // All blocks of a head follow one another, so that its keys and values stay in cache; long ones first, for balance.
  struct Task {
    QueryBlock block;
    int head;
  };
  std::vector<Task> tasks;
  for (const int s : longest_first(offsets, sequences))
    for (int head = 0; head < shape.heads; ++head)
      for (int length = offsets[s + 1] - offsets[s], b = blocks_of(length) - 1; b >= 0; --b)
        tasks.push_back({QueryBlock(Index(offsets[s]), length, b), head});
  const Index scratch_size = Scratch<A>::size(shape.head_size);
  Buffer<A> memory(Device{}, Index(omp_get_max_threads()) * scratch_size);
#pragma omp parallel
  {
    Scratch<A> scratch(memory.data() + Index(omp_get_thread_num()) * scratch_size, shape.head_size);
#pragma omp for schedule(dynamic)
    for (Index t = 0; t < tasks.size(); ++t) {
      const Task& task = tasks[t];
      forward_block<T>(out, lse + Index(task.head) * Index(tokens), {qkv, shape}, task.block, task.head, scratch);
    }
  }
}

template <Element T>
void attention_backward(Stream&, T* dqkv, const T* dout, const T* qkv, const T* out, const acc_t<T>* lse,
                        const std::int32_t* offsets, int sequences, int tokens, AttentionShape shape) {
  using namespace attention;
  using A = acc_t<T>;
  auto tasks = plan_backward<A>(offsets, sequences, shape);
  const Index width = Index(shape.head_size);
  const int group = shape.heads / shape.kv_heads;
  Index total = 0;
  for (const auto& task : tasks) total += Index(task.length) * 2 * width;
  Buffer<A> dkv(Device{}, total);
  A* next = dkv.data();
  for (auto& task : tasks) task.dkv = std::exchange(next, next + Index(task.length) * 2 * width);
  const Index scratch_size = Scratch<A>::size(shape.head_size);
  Buffer<A> memory(Device{}, Index(omp_get_max_threads()) * scratch_size);
  const Heads<T> dheads{dqkv, shape};
#pragma omp parallel
  {
    Scratch<A> scratch(memory.data() + Index(omp_get_thread_num()) * scratch_size, shape.head_size);
#pragma omp for schedule(dynamic)
    for (Index t = 0; t < tasks.size(); ++t) {
      const auto& task = tasks[t];
      std::fill_n(task.dkv, Index(task.length) * 2 * width, A{});
      for (int pair = task.part; pair < blocks_of(task.length) * group; pair += task.parts) {
        const QueryBlock block(task.first, task.length, pair / group);
        const int head = task.kv_head * group + pair % group;
        backward_block<T>(dheads, task.dkv, dout, {qkv, shape}, out, lse + Index(head) * Index(tokens), block, head, scratch);
      }
    }
    // The parts of a kv head are added up in one order, whichever thread made them.
#pragma omp for schedule(dynamic)
    for (Index t = 0; t < tasks.size(); ++t) {
      const auto& task = tasks[t];
      if (task.part > 0) continue;
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
    }
  }
}

}  // namespace expunge::cpu
