// Whether two ranks can share a GPU over NCCL when each claims a host of its own (NCCL_HOSTID): NCCL refuses two on one GPU
// else. Under mpirun; says what came of it, and fails only where NCCL takes the ranks and gathers something else.
#include <fmt/format.h>

#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "comm/mpi_environment.h"
#include "expunge/communicator.h"
#include "expunge/error.h"

namespace expunge {
namespace {

constexpr double kTimeLimit = 60;

/// NCCL's own failure, or two kernels that never run together, are an outcome and no failure of the test.
[[noreturn]] void give_up(const std::string& message) {
  fmt::print("NCCL does not share the GPU: {}", message);
  std::fflush(stdout);
  std::_Exit(0);
}

/// Gathers a number of each rank; true where all are there.
bool gathers(const MpiEnvironment& mpi) {
  const Device device{DeviceType::cuda, 0};
  const auto stream = make_cuda_stream(device.index);
  const auto comm = make_nccl_communicator(make_mpi_communicator(kTimeLimit), device.index, {kTimeLimit, give_up});
  const float mine = static_cast<float>(1 + mpi.rank());
  std::vector<float> all(static_cast<std::size_t>(mpi.size()));
  Buffer<float> shard(device, 1), whole(device, all.size());
  copy_to_device(*stream, shard.data(), &mine, sizeof(mine));
  comm->all_gather(*stream, whole.data(), shard.data(), sizeof(mine));
  copy_to_host(*stream, all.data(), whole.data(), whole.bytes());
  stream->synchronize();
  for (std::size_t rank = 0; rank < all.size(); ++rank)
    if (all[rank] != static_cast<float>(1 + rank)) return false;
  return true;
}

int run(const MpiEnvironment& mpi) {
  if (const CudaDevices devices = cuda_devices(); devices.count == 0) {
    fmt::print("no GPU: {}\n", devices.problem);
    return 0;
  }
  setenv("NCCL_HOSTID", fmt::format("rank-{}", mpi.rank()).c_str(), 1);
  try {
    const bool right = gathers(mpi);
    fmt::print("rank {}: NCCL shares the GPU, and what it gathers is {}\n", mpi.rank(), right ? "right" : "WRONG");
    return right ? 0 : 1;
  } catch (const Error& error) {
    fmt::print("rank {}: NCCL does not share the GPU: {}\n", mpi.rank(), error.what());
    return 0;
  }
}

}  // namespace
}  // namespace expunge

int main() {
  const expunge::MpiEnvironment mpi(expunge::kTimeLimit);
  return expunge::run(mpi);
}
