// What ranks sent in bf16, added up on the GPU: to the last bit as in rank order on the host.
#include "expunge/kernels.h"

#include <vector>

#include "core/random.h"
#include "support/gpu_test.h"

namespace expunge {
namespace {

class GpuSumParts : public GpuTest {};

TEST_F(GpuSumParts, AddsInRankOrder) {
  const Device gpu{DeviceType::cuda, 0};
  const auto stream = make_cuda_stream(gpu.index);
  for (const int ranks : {1, 2, 5})
    for (const std::size_t n : {0, 1, 64, 1003, 40000}) {
      std::vector<bf16> parts(static_cast<std::size_t>(ranks) * n);
      for (std::size_t i = 0; i < parts.size(); ++i) parts[i] = bf16(static_cast<float>(random_normal(1, 1, i)));
      std::vector<float> expected(n), found(n);
      for (std::size_t i = 0; i < parts.size(); ++i) expected[i % n] += static_cast<float>(parts[i]);
      Buffer<bf16> from(gpu, parts.size());
      Buffer<float> sum(gpu, n);
      copy_to_device(*stream, from.data(), parts.data(), from.bytes());
      sum_parts(*stream, sum.data(), from.data(), ranks, n);
      copy_to_host(*stream, found.data(), sum.data(), sum.bytes());
      stream->synchronize();
      EXPECT_EQ(found, expected) << ranks << " ranks, " << n << " elements";
    }
}

}  // namespace
}  // namespace expunge
