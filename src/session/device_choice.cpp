// Chooses GPUs and communicators.
#include "session/device_choice.h"

#include <fmt/format.h>

#include <map>

#include "expunge/error.h"

namespace expunge {

FoundGpu find_gpu(int local_rank, bool shared, int* index) {
  try {
    const CudaDevices devices = cuda_devices();
    if (devices.count == 0) return {{}, devices.problem};
    const bool own_view = devices.count == 1;
    if (!own_view && !shared && local_rank >= devices.count)
      return {{}, fmt::format("its number on the node is {}, and the node has {} GPUs", local_rank, devices.count)};
    *index = own_view ? 0 : local_rank % devices.count;
    return {cuda_device_info(*index).uuid, {}};
  } catch (const Error& error) {
    return {{}, error.what()};
  }
}

CommPolicy choose_comm(CommPolicy asked, const std::vector<FoundGpu>& ranks, bool nccl_built) {
  std::map<std::string, std::size_t> owners;
  for (std::size_t rank = 0; rank < ranks.size(); ++rank) {
    if (!ranks[rank].problem.empty())
      fail(ExitCode::usage, fmt::format("rank {} has no GPU: {}; start as many ranks as there are GPUs, or use --device cpu",
                                        rank, ranks[rank].problem));
    const auto [owner, first] = owners.emplace(ranks[rank].uuid, rank);
    if (!first && asked != CommPolicy::staged)
      fail(ExitCode::usage,
           fmt::format(
               "ranks {} and {} are on the same GPU, {}: start one rank per GPU and let the launcher show each rank its own "
               "or all of them, or share it, slowly, with --comm staged",
               owner->second, rank, ranks[rank].uuid));
  }
  if (asked == CommPolicy::staged || (asked == CommPolicy::automatic && !nccl_built)) return CommPolicy::staged;
  if (!nccl_built) fail(ExitCode::usage, "--comm nccl: this build has no NCCL; use --comm staged or auto");
  return CommPolicy::nccl;
}

}  // namespace expunge
