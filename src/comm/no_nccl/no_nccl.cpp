// What a build without NCCL says when it is asked for it.
#include "expunge/communicator.h"
#include "expunge/error.h"

namespace expunge {

bool has_nccl() { return false; }

std::unique_ptr<Communicator> make_nccl_communicator(std::unique_ptr<Communicator>, int, const NcclOptions&) {
  fail(ExitCode::usage, "this build has no NCCL (nccl.h was not found when it was made); use --comm staged");
}

}  // namespace expunge
