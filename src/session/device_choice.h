// Which GPU a rank computes on, and what ranks on GPUs talk over.
#pragma once

#include <string>
#include <vector>

#include "expunge/device.h"
#include "session/options.h"

namespace expunge {

/// What a rank found when it looked for its GPU.
struct FoundGpu {
  std::string uuid;     ///< of the GPU that it would take
  std::string problem;  ///< or why there is none
};

/// The GPU of a rank: its number among the ranks of its node, or 0 where one GPU is visible, as the launcher shows each rank
/// its own. With `shared`, ranks beyond the number of GPUs begin again at the first. Never throws.
FoundGpu find_gpu(int local_rank, bool shared, int* index);

/// The communicator of ranks on GPUs: NCCL where each has its own. Throws Error(usage), the same on every rank, that names
/// ranks without a GPU or with the same one.
CommPolicy choose_comm(CommPolicy asked, const std::vector<FoundGpu>& ranks, bool nccl_built);

}  // namespace expunge
