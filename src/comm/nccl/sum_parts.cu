// Adding up what ranks sent: one thread an element, in rank order.
#include "comm/nccl/sum_parts.h"

#include <cuda_bf16.h>

#include "core/cuda/cuda_stream.h"

namespace expunge {
namespace {

__global__ void sum_parts_kernel(float* sum, const __nv_bfloat16* parts, int ranks, std::size_t n) {
  const std::size_t i = static_cast<std::size_t>(blockIdx.x) * blockDim.x + threadIdx.x;
  if (i >= n) return;
  float total = __bfloat162float(parts[i]);
  for (int rank = 1; rank < ranks; ++rank) total += __bfloat162float(parts[static_cast<std::size_t>(rank) * n + i]);
  sum[i] = total;
}

}  // namespace

void sum_parts(Stream& stream, float* sum, const bf16* parts, int ranks, std::size_t n) {
  constexpr unsigned kThreads = 256;
  const auto blocks = static_cast<unsigned>((n + kThreads - 1) / kThreads);
  sum_parts_kernel<<<blocks, kThreads, 0, cuda::handle(stream)>>>(sum, reinterpret_cast<const __nv_bfloat16*>(parts), ranks, n);
  cuda::must(cudaGetLastError(), "sum_parts");
}

}  // namespace expunge
