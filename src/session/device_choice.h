// Chooses the GPU of a rank, and the communicator of ranks on GPUs.
#pragma once

#include <string>
#include <vector>

#include "expunge/device.h"
#include "session/options.h"

namespace expunge {

/// Result of a rank's search for its GPU.
struct FoundGpu {
  std::string uuid;     ///< of the GPU that the rank would use
  std::string problem;  ///< or the reason for having none
};

/// Selects the GPU of a rank by its number on the node. If only one GPU is visible, it is the rank's own (launchers can show
/// each rank one). If `shared`, ranks beyond the number of GPUs start again at the first. Never throws.
FoundGpu find_gpu(int local_rank, bool shared, int* index);

/// Selects the communicator of ranks on GPUs: NCCL if each has its own GPU. Throws the same Error(usage) on every rank; it
/// names ranks without a GPU or with the same GPU.
CommPolicy choose_comm(CommPolicy asked, const std::vector<FoundGpu>& ranks, bool nccl_built);

}  // namespace expunge
