// The communicator over NCCL itself.
#include "comm/nccl/nccl_communicator.h"

namespace expunge {

struct Nccl;

bool has_nccl() { return true; }

std::unique_ptr<Communicator> make_nccl_communicator(std::unique_ptr<Communicator> host, int device,
                                                     const NcclOptions& options) {
  return std::make_unique<NcclCommunicator<Nccl>>(std::move(host), device, options);
}

}  // namespace expunge
