// Stands in for NCCL in a build without it: its communicator fails with a message.
#include "expunge/communicator.h"
#include "expunge/error.h"

namespace expunge {

bool has_nccl() { return false; }

std::unique_ptr<Communicator> make_nccl_communicator(std::unique_ptr<Communicator>, int, const NcclOptions&) {
  fail(ExitCode::usage, "this build has no NCCL (CMake did not find nccl.h); use --comm staged");
}

}  // namespace expunge
