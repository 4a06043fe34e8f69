// Attention without tensor cores: for float, double, and head sizes that the tensor-core kernels do not support.
#pragma once

#include "kernels/cuda/device_code.cuh"

namespace expunge::cuda {
namespace attention {

// Each warp computes one row: a query, or a key in the backward pass of keys and values. It processes the other side in steps
// of 32: each lane computes one score, then each lane sums every 32nd column.

constexpr int kColumns = 8;                           // per lane
constexpr int kWarps = 4, kThreads = kWarps * kWarp;  // per block
constexpr int kLargestHead = kColumns * kWarp;

/// Positions of the heads in a packed qkv (or dqkv).
template <typename T>
struct Heads {
  T* qkv;
  AttentionShape shape;
  __device__ T* query(int token, int head) const { return at(token, head); }
  __device__ T* key(int token, int kv_head) const { return at(token, shape.heads + kv_head); }
  __device__ T* value(int token, int kv_head) const { return at(token, shape.heads + shape.kv_heads + kv_head); }
  __device__ int group() const { return shape.heads / shape.kv_heads; }

 private:
  __device__ T* at(int token, int slot) const {
    return qkv + Index(token) * Index(shape.qkv_width()) + Index(slot) * Index(shape.head_size);
  }
};

/// The sequence of a token: the last one that begins at or before it.
__device__ inline int sequence_of(const std::int32_t* offsets, int sequences, int token) {
  int low = 0, high = sequences - 1;
  while (low < high) {
    const int middle = (low + high + 1) / 2;
    if (offsets[middle] <= token)
      low = middle;
    else
      high = middle - 1;
  }
  return low;
}

/// Dot product that reads b in vectors of N; the order of the sum does not depend on N.
template <int N, typename A, typename T>
__device__ inline A dot(const A* a, const T* b, int width) {
  A sum{};
  for (int e = 0; e < width; e += N) {
    const Pack<T, N> pack = load<N>(b + e);
#pragma unroll
    for (int j = 0; j < N; ++j) sum += a[e + j] * A(pack.v[j]);
  }
  return sum;
}
/// Whether rows of heads, starting at these pointers, can be read in whole vectors.
template <typename T, typename... Pointers>
bool whole_vectors(const AttentionShape& shape, const Pointers*... pointers) {
  return shape.head_size % kWide<T> == 0 && aligned(pointers...);
}

template <typename A>
__device__ inline A inverse_root(int width) {
  return A(1) / sqrt(A(width));
}

/// Running softmax attention of one query; a lane holds columns lane, lane + 32 ..
template <typename A>
struct Attended {
  A maximum = -std::numeric_limits<A>::infinity(), total{};
  A sums[kColumns]{};
};

/// Adds at most 32 keys, begin, begin + 1 .. end, `row` elements apart. query (E) and weights (32) belong to this warp.
template <int N, typename A, typename T>
__device__ inline void attend(Attended<A>& state, const A* query, const T* keys, const T* values, Index row, int begin, int end,
                              int width, A scale, A* weights) {
  const int lane = int(threadIdx.x) % kWarp, key = begin + lane;
  const A score = key < end ? dot<N>(query, keys + Index(key) * row, width) * scale : -std::numeric_limits<A>::infinity();
  const A block_maximum = warp_reduce(score, [](A a, A b) { return a > b ? a : b; });
  const A maximum = state.maximum > block_maximum ? state.maximum : block_maximum;
  const A keep = exponential(state.maximum - maximum), weight = exponential(score - maximum);
  state.total = state.total * keep + warp_reduce(weight, Plus{});
  state.maximum = maximum;
  __syncwarp();
  weights[lane] = weight;
  __syncwarp();
  const int count = end - begin < kWarp ? end - begin : kWarp;
#pragma unroll
  for (int c = 0; c < kColumns; ++c) {
    const int e = lane + c * kWarp;
    if (e >= width) continue;
    A sum = state.sums[c] * keep;
    for (int j = 0; j < count; ++j) sum += weights[j] * A(values[Index(begin + j) * row + Index(e)]);
    state.sums[c] = sum;
  }
}

/// Copies a row into shared memory as A.
template <typename A, typename T>
__device__ inline void stage(A* to, const T* from, int width) {
  for (int e = int(threadIdx.x) % kWarp; e < width; e += kWarp) to[e] = A(from[e]);
  __syncwarp();
}

template <typename T, int N>
__global__ void __launch_bounds__(kThreads)
    plain_forward(T* out, acc_t<T>* lse, Heads<const T> heads, const std::int32_t* offsets, int sequences, int tokens) {
  using A = acc_t<T>;
  __shared__ A queries[kWarps][kLargestHead], weights[kWarps][kWarp];
  const int warp = int(threadIdx.x) / kWarp, lane = int(threadIdx.x) % kWarp, width = heads.shape.head_size;
  const int token = int(blockIdx.x) * kWarps + warp, head = int(blockIdx.y), kv_head = head / heads.group();
  if (token >= tokens) return;
  const int first = offsets[sequence_of(offsets, sequences, token)];
  stage(queries[warp], heads.query(token, head), width);
  Attended<A> state;
  for (int key = 0; key <= token - first; key += kWarp)
    attend<N>(state, queries[warp], heads.key(first, kv_head), heads.value(first, kv_head), Index(heads.shape.qkv_width()), key,
              token - first + 1, width, inverse_root<A>(width), weights[warp]);
  T* const row = out + (Index(token) * Index(heads.shape.heads) + Index(head)) * Index(width);
#pragma unroll
  for (int c = 0; c < kColumns; ++c)
    if (lane + c * kWarp < width) row[lane + c * kWarp] = rounded<T>(state.sums[c] / state.total);
  if (lane == 0) lse[Index(head) * Index(tokens) + Index(token)] = state.maximum + logarithm(state.total);
}

/// delta (H, T) = dout . out of each query and head.
template <typename T, int N>
__global__ void __launch_bounds__(kThreads)
    output_products(acc_t<T>* delta, const T* dout, const T* out, int heads, int width, int tokens) {
  using A = acc_t<T>;
  const int token = int(blockIdx.x) * kWarps + int(threadIdx.x) / kWarp, head = int(blockIdx.y);
  if (token >= tokens) return;
  const Index row = (Index(token) * Index(heads) + Index(head)) * Index(width);
  A sum{};
  for (int e = int(threadIdx.x) % kWarp * N; e < width; e += kWarp * N) {
    const Pack<T, N> a = load<N>(dout + row + e), b = load<N>(out + row + e);
#pragma unroll
    for (int j = 0; j < N; ++j) sum += A(a.v[j]) * A(b.v[j]);
  }
  sum = warp_reduce(sum, Plus{});
  if (threadIdx.x % kWarp == 0) delta[Index(head) * Index(tokens) + Index(token)] = sum;
}

/// Inputs of the backward kernels besides qkv.
template <typename T>
struct BackwardInput {
  const T* dout;               // (T, H, E)
  const acc_t<T>*lse, *delta;  // (H, T)
  const std::int32_t* offsets;
  int sequences, tokens;
};

template <typename T, int N>
__global__ void __launch_bounds__(kThreads) plain_dquery(Heads<T> dheads, Heads<const T> heads, BackwardInput<T> in) {
  using A = acc_t<T>;
  __shared__ A queries[kWarps][kLargestHead], douts[kWarps][kLargestHead], weights[kWarps][kWarp];
  const int warp = int(threadIdx.x) / kWarp, lane = int(threadIdx.x) % kWarp, width = heads.shape.head_size;
  const int token = int(blockIdx.x) * kWarps + warp, head = int(blockIdx.y), kv_head = head / heads.group();
  if (token >= in.tokens) return;
  const int first = in.offsets[sequence_of(in.offsets, in.sequences, token)];
  const Index row = Index(heads.shape.qkv_width()), at = Index(head) * Index(in.tokens) + Index(token);
  stage(queries[warp], heads.query(token, head), width);
  stage(douts[warp], in.dout + (Index(token) * Index(heads.shape.heads) + Index(head)) * Index(width), width);
  const A scale = inverse_root<A>(width), lse = in.lse[at], delta = in.delta[at];
  A sums[kColumns]{};
  for (int begin = first; begin <= token; begin += kWarp) {
    const int key = begin + lane;
    A ds{};
    if (key <= token) {
      const A p = exponential(dot<N>(queries[warp], heads.key(key, kv_head), width) * scale - lse);
      ds = p * (dot<N>(douts[warp], heads.value(key, kv_head), width) - delta) * scale;
    }
    __syncwarp();
    weights[warp][lane] = ds;
    __syncwarp();
    const int count = token + 1 - begin < kWarp ? token + 1 - begin : kWarp;
    const T* const keys = heads.key(begin, kv_head);
#pragma unroll
    for (int c = 0; c < kColumns; ++c)
      if (lane + c * kWarp < width)
        for (int j = 0; j < count; ++j) sums[c] += weights[warp][j] * A(keys[Index(j) * row + Index(lane + c * kWarp)]);
  }
  T* const dquery = dheads.query(token, head);
#pragma unroll
  for (int c = 0; c < kColumns; ++c)
    if (lane + c * kWarp < width) dquery[lane + c * kWarp] = rounded<T>(sums[c]);
}

/// dk = sum of ds q and dv = sum of p do over the queries that see the key, for each head of its group in turn.
template <typename T, int N>
__global__ void __launch_bounds__(kThreads) plain_dkey_dvalue(Heads<T> dheads, Heads<const T> heads, BackwardInput<T> in) {
  using A = acc_t<T>;
  __shared__ A keys[kWarps][kLargestHead], values[kWarps][kLargestHead], p_of[kWarps][kWarp], ds_of[kWarps][kWarp];
  const int warp = int(threadIdx.x) / kWarp, lane = int(threadIdx.x) % kWarp, width = heads.shape.head_size;
  const int token = int(blockIdx.x) * kWarps + warp, kv_head = int(blockIdx.y);
  if (token >= in.tokens) return;
  const int end = in.offsets[sequence_of(in.offsets, in.sequences, token) + 1];
  const Index row = Index(heads.shape.qkv_width()), out_row = Index(heads.shape.heads) * Index(width);
  stage(keys[warp], heads.key(token, kv_head), width);
  stage(values[warp], heads.value(token, kv_head), width);
  const A scale = inverse_root<A>(width);
  A dkey[kColumns]{}, dvalue[kColumns]{};
  for (int head = kv_head * heads.group(); head < (kv_head + 1) * heads.group(); ++head)
    for (int begin = token; begin < end; begin += kWarp) {
      const int query = begin + lane;
      const T* const queries = heads.query(begin, head);
      const T* const douts = in.dout + Index(begin) * out_row + Index(head) * Index(width);
      A p{}, ds{};
      if (query < end) {
        const Index at = Index(head) * Index(in.tokens) + Index(query);
        p = exponential(dot<N>(keys[warp], queries + Index(lane) * row, width) * scale - in.lse[at]);
        ds = p * (dot<N>(values[warp], douts + Index(lane) * out_row, width) - in.delta[at]) * scale;
      }
      __syncwarp();
      p_of[warp][lane] = p;
      ds_of[warp][lane] = ds;
      __syncwarp();
      const int count = end - begin < kWarp ? end - begin : kWarp;
#pragma unroll
      for (int c = 0; c < kColumns; ++c) {
        const int e = lane + c * kWarp;
        if (e >= width) continue;
        for (int j = 0; j < count; ++j) {
          dkey[c] += ds_of[warp][j] * A(queries[Index(j) * row + Index(e)]);
          dvalue[c] += p_of[warp][j] * A(douts[Index(j) * out_row + Index(e)]);
        }
      }
    }
#pragma unroll
  for (int c = 0; c < kColumns; ++c) {
    const int e = lane + c * kWarp;
    if (e >= width) continue;
    dheads.key(token, kv_head)[e] = rounded<T>(dkey[c]);
    dheads.value(token, kv_head)[e] = rounded<T>(dvalue[c]);
  }
}

}  // namespace attention

}  // namespace expunge::cuda
