// Rows of the embedding table, and the table's gradient.
#pragma once

#include "kernels/cuda/row_copy.cuh"

namespace expunge::cuda {

template <Element T>
void embedding_forward(Stream& stream, T* y, const T* table, const std::int32_t* ids, int n, int dim) {
  for_each_cell<kWide<T>>(stream, n, dim, aligned(y, table), RowCopy<T>{y, table, nullptr, ids, dim, dim});
}

/// The block of the first token with an id adds the gradients of all tokens with that id, in order of tokens. Sums are
/// therefore reproducible without atomics. A block column covers kRowThreads columns of the table.
template <typename T>
__global__ void __launch_bounds__(kRowThreads)
    embedding_gradient(acc_t<T>* dtable, const T* dy, const std::int32_t* ids, int n, int dim) {
  using A = acc_t<T>;
  __shared__ int same[kRowThreads], count;
  const int token = int(blockIdx.x), id = ids[token], thread = int(threadIdx.x);
  const int column = int(blockIdx.y) * kRowThreads + thread;
  int earlier = 0;
  for (int t = thread; t < token; t += kRowThreads) earlier |= int(ids[t] == id);
  if (__syncthreads_or(earlier)) return;
  A sum{};
  for (int begin = token; begin < n; begin += kRowThreads) {
    const int t = begin + thread;
    const bool mine = t < n && ids[t] == id;
    // Count matches before this thread in the chunk: in its warp by the ballot, in earlier warps by their counts.
    __shared__ int warp_counts[kRowThreads / kWarp];
    const unsigned ballot = __ballot_sync(kAllLanes, mine);
    __syncthreads();
    if (thread % kWarp == 0) warp_counts[thread / kWarp] = __popc(ballot);
    __syncthreads();
    int place = __popc(ballot & ((1u << (thread % kWarp)) - 1u));
    for (int warp = 0; warp < thread / kWarp; ++warp) place += warp_counts[warp];
    if (mine) same[place] = t;
    if (thread == kRowThreads - 1) count = place + int(mine);
    __syncthreads();
    if (column < dim)
      for (int i = 0; i < count; ++i) sum += A(dy[Index(same[i]) * Index(dim) + Index(column)]);
  }
  if (column < dim) dtable[Index(id) * Index(dim) + Index(column)] += sum;
}
template <Element T>
void embedding_backward(Stream& stream, acc_t<T>* dtable, const T* dy, const std::int32_t* ids, int n, int dim) {
  const dim3 grid{unsigned(n), unsigned(divide_up(dim, kRowThreads))};
  launch(stream, embedding_gradient<T>, grid, kRowThreads, 0, dtable, dy, ids, n, dim);
}

}  // namespace expunge::cuda
