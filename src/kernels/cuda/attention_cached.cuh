// Attention of one query per sequence over cached keys and values.
#pragma once

#include "kernels/cuda/attention_plain.cuh"
#include "kernels/cuda/row_copy.cuh"

namespace expunge::cuda {

namespace attention {

/// One query per sequence; the block's warps share its keys and merge their results in order.
template <typename T, int N>
__global__ void __launch_bounds__(kThreads)
    cached_forward(T* out, Heads<const T> heads, const T* cache, const std::int32_t* starts, const std::int32_t* lengths) {
  using A = acc_t<T>;
  __shared__ A queries[kWarps][kLargestHead], weights[kWarps][kWarp], totals[kWarps], maxima[kWarps];
  const int warp = int(threadIdx.x) / kWarp, lane = int(threadIdx.x) % kWarp, width = heads.shape.head_size;
  const int sequence = int(blockIdx.x), head = int(blockIdx.y), kv_head = head / heads.group();
  const Index value_offset = Index(heads.shape.kv_heads) * Index(width), row = 2 * value_offset;
  const T* const keys = cache + Index(starts[sequence]) * row + Index(kv_head) * Index(width);
  stage(queries[warp], heads.query(sequence, head), width);
  Attended<A> state;
  for (int key = warp * kWarp; key < lengths[sequence]; key += kThreads)
    attend<N>(state, queries[warp], keys, keys + value_offset, row, key, lengths[sequence], width, inverse_root<A>(width),
              weights[warp]);
  __syncthreads();  // the queries have been read: reuse their memory for the sums
#pragma unroll
  for (int c = 0; c < kColumns; ++c) queries[warp][lane + c * kWarp] = state.sums[c];
  if (lane == 0) {
    totals[warp] = state.total;
    maxima[warp] = state.maximum;
  }
  __syncthreads();
  A maximum = maxima[0];  // warp 0 has seen the first key
  for (int w = 1; w < kWarps; ++w) maximum = maxima[w] > maximum ? maxima[w] : maximum;
  A total{};
  for (int w = 0; w < kWarps; ++w) total += totals[w] * exponential(maxima[w] - maximum);
  for (int e = int(threadIdx.x); e < width; e += kThreads) {
    A sum{};
    for (int w = 0; w < kWarps; ++w) sum += queries[w][e] * exponential(maxima[w] - maximum);
    out[(Index(sequence) * Index(heads.shape.heads) + Index(head)) * Index(width) + Index(e)] = rounded<T>(sum / total);
  }
}

}  // namespace attention

template <Element T>
void cache_store(Stream& stream, T* cache, const T* qkv, const std::int32_t* slots, int n, AttentionShape shape) {
  const int queries = shape.heads * shape.head_size, row = shape.qkv_width() - queries;
  const bool vectors = aligned(cache, qkv + queries) && shape.qkv_width() % kWide<T> == 0;
  for_each_cell<kWide<T>>(stream, n, row, vectors, RowCopy<T>{cache, qkv + queries, slots, nullptr, row, shape.qkv_width()});
}

template <Element T>
void attention_cached_forward(Stream& stream, T* out, const T* qkv, const T* cache, const std::int32_t* starts,
                              const std::int32_t* lengths, int n, AttentionShape shape) {
  using namespace attention;
  check(shape.head_size <= kLargestHead, "head sizes are at most 256");
  const bool vectors = whole_vectors<T>(shape, cache);
  launch(stream, vectors ? cached_forward<T, kWide<T>> : cached_forward<T, 1>, dim3(unsigned(n), unsigned(shape.heads)),
         kThreads, 0, out, Heads<const T>{qkv, shape}, cache, starts, lengths);
}

}  // namespace expunge::cuda
