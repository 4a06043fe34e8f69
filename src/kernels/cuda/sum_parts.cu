// Adds the parts of all ranks: one thread per element, in rank order.
#include "expunge/kernels.h"

#include "kernels/cuda/device_code.cuh"

namespace expunge {
namespace {

struct SumElements {
  float* sum;
  const bf16* parts;
  int ranks;
  std::size_t n;
  template <int N>
  __device__ void at(cuda::Index i) const {
    cuda::Pack<float, N> total{};
    for (int rank = 0; rank < ranks; ++rank) {
      const cuda::Pack<bf16, N> part = cuda::load<N>(parts + cuda::Index(rank) * n + i);
#pragma unroll
      for (int j = 0; j < N; ++j) total.v[j] += float(part.v[j]);
    }
    cuda::save(sum + i, total);
  }
};

}  // namespace

void sum_parts(Stream& stream, float* sum, const bf16* parts, int ranks, std::size_t n) {
  cuda::for_each_element<cuda::kWide<bf16>>(stream, n, cuda::aligned(sum, parts, parts + n), SumElements{sum, parts, ranks, n});
}

}  // namespace expunge
