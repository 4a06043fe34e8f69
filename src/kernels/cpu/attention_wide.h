// Blocked attention in the accumulation type, for any element type.
#pragma once

#include "kernels/cpu/attention_blocks.h"
#include "kernels/cpu/product.h"

namespace expunge::cpu::EXPUNGE_CPU_LEVEL::attention {

constexpr int kKeyRows = 384;  // of a block; a multiple of kLanes. The fastest tested on Zen 4

/// Whether rows at this distance share few cache lines (64 sets of 64 bytes) and evict each other. Rows of a packed qkv do so
/// for most widths.
constexpr bool rows_collide(std::size_t stride_bytes) { return stride_bytes % 1024 == 0; }

/// Rows of one head in the accumulation type: in place if T is that type and the rows do not collide, else copied to
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

/// Memory of one thread. Rows of a head are head_size wide, rows of scores kKeyRows.
template <typename A>
class Scratch {
 public:
  Scratch(A* memory, int head_size) {
    const Index query_block = Index(kQueryRows) * Index(head_size), key_block = Index(kKeyRows) * Index(head_size);
    const auto take = [&memory](Index size) { return std::exchange(memory, memory + size); };
    scores = take(kScores);
    dscores = take(kScores);
    row_sum = take(kQueryRows);
    query = take(query_block);
    dout = take(query_block);
    result = take(query_block);
    key = take(key_block);
    value = take(key_block);
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
    const int row = i * kKeyRows;
    gradient_row(scratch.scores + row, scratch.dscores + row, block.visible(i, key_begin, keys), keys, scale, lse[i],
                 scratch.row_sum[i]);
  }
  const auto p = plain<A>(scratch.scores, kKeyRows), ds = plain<A>(scratch.dscores, kKeyRows);
  A* const dk = dkv + Index(key_begin) * 2 * Index(width);
  product(key_begin == 0 ? Write::set : Write::add, scratch.result, width, ds, key, {rows, width, keys});
  product(Write::add, dk, 2 * width, flip(ds), query, {keys, width, rows});
  product(Write::add, dk + width, 2 * width, flip(p), dout, {keys, width, rows});
}

/// dq of one block of queries of one head, and its contribution to dk and dv.
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

template <Element T>
class WideBlocks {
 public:
  using A = acc_t<T>;
  explicit WideBlocks(Heads<const T> heads) : heads_(heads) {}
  static Index scratch_size(int head_size) { return attention::Scratch<A>::size(head_size); }
  using Scratch = attention::Scratch<A>;
  void forward(T* out, A* lse, int, const QueryBlock& block, int head, Scratch& scratch) const {
    forward_block<T>(out, lse, heads_, block, head, scratch);
  }
  void backward(Heads<T> dheads, A* dkv, const T* dout, const T* out, const A* lse, int, const QueryBlock& block, int head,
                Scratch& scratch) const {
    backward_block<T>(dheads, dkv, dout, heads_, out, lse, block, head, scratch);
  }

 private:
  Heads<const T> heads_;
};

}  // namespace expunge::cpu::EXPUNGE_CPU_LEVEL::attention
