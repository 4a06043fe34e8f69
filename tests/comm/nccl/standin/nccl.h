// A stand-in for NCCL: threads are ranks, collectives run on CPU memory in the order of their streams, every call is recorded,
// and calls that real non-blocking communicators forbid are refused.
#pragma once

#include <cuda_runtime.h>

#include <cstddef>
#include <functional>
#include <string_view>
#include <vector>

enum ncclResult_t {
  ncclSuccess = 0,
  ncclUnhandledCudaError = 1,
  ncclSystemError = 2,
  ncclInternalError = 3,
  ncclInvalidArgument = 4,
  ncclInvalidUsage = 5,
  ncclRemoteError = 6,
  ncclInProgress = 7
};
enum ncclDataType_t { ncclUint8 = 1, ncclFloat32 = 7, ncclFloat64 = 8, ncclBfloat16 = 9 };
enum ncclRedOp_t { ncclSum = 0 };
struct ncclUniqueId {
  char internal[128];
};
struct ncclConfig_t {
  int blocking;
};
#define NCCL_CONFIG_INITIALIZER \
  ncclConfig_t { 1 }
struct StandinComm;
using ncclComm_t = StandinComm*;

namespace standin {

/// One call as a rank made it. A group of sends and receives is one call.
struct Call {
  std::string_view name;
  std::size_t bytes;  ///< of the shard
  bool in_place;
  bool operator==(const Call&) const = default;
};

ncclResult_t get_unique_id(ncclUniqueId* id);
ncclResult_t init_rank(ncclComm_t* comm, int ranks, const ncclUniqueId& id, int rank, const ncclConfig_t& config);
ncclResult_t async_error(ncclComm_t comm, ncclResult_t* state);
ncclResult_t all_gather(const void* shard, void* whole, std::size_t count, ncclDataType_t, ncclComm_t, cudaStream_t);
ncclResult_t reduce_scatter(const void* whole, void* shard, std::size_t count, ncclDataType_t, ncclComm_t, cudaStream_t);
ncclResult_t send(const void* from, std::size_t count, ncclDataType_t, int peer, ncclComm_t, cudaStream_t);
ncclResult_t receive(void* to, std::size_t count, ncclDataType_t, int peer, ncclComm_t, cudaStream_t);
ncclResult_t group_start();
ncclResult_t group_end();
ncclResult_t end(ncclComm_t comm, bool abort);

/// What the rank of the calling thread called since its communicator was made.
std::vector<Call> recorded();
/// The next question for an asynchronous error gets this answer, on the calling thread's rank.
void fail_with(ncclResult_t error);
/// Whether the communicator of the calling thread's rank was aborted.
bool was_aborted();

}  // namespace standin

static inline ncclResult_t ncclGetUniqueId(ncclUniqueId* id) { return standin::get_unique_id(id); }
static inline ncclResult_t ncclCommInitRankConfig(ncclComm_t* comm, int ranks, ncclUniqueId id, int rank,
                                                  ncclConfig_t* config) {
  return standin::init_rank(comm, ranks, id, rank, *config);
}
static inline ncclResult_t ncclCommGetAsyncError(ncclComm_t comm, ncclResult_t* state) {
  return standin::async_error(comm, state);
}
static inline ncclResult_t ncclAllGather(const void* shard, void* whole, std::size_t count, ncclDataType_t type,
                                         ncclComm_t comm, cudaStream_t stream) {
  return standin::all_gather(shard, whole, count, type, comm, stream);
}
static inline ncclResult_t ncclReduceScatter(const void* whole, void* shard, std::size_t count, ncclDataType_t type,
                                             ncclRedOp_t, ncclComm_t comm, cudaStream_t stream) {
  return standin::reduce_scatter(whole, shard, count, type, comm, stream);
}
static inline ncclResult_t ncclSend(const void* from, std::size_t count, ncclDataType_t type, int peer, ncclComm_t comm,
                                    cudaStream_t stream) {
  return standin::send(from, count, type, peer, comm, stream);
}
static inline ncclResult_t ncclRecv(void* to, std::size_t count, ncclDataType_t type, int peer, ncclComm_t comm,
                                    cudaStream_t stream) {
  return standin::receive(to, count, type, peer, comm, stream);
}
static inline ncclResult_t ncclGroupStart() { return standin::group_start(); }
static inline ncclResult_t ncclGroupEnd() { return standin::group_end(); }
static inline ncclResult_t ncclCommFinalize(ncclComm_t) { return ncclSuccess; }
static inline ncclResult_t ncclCommDestroy(ncclComm_t comm) { return standin::end(comm, false); }
static inline ncclResult_t ncclCommAbort(ncclComm_t comm) { return standin::end(comm, true); }
static inline const char* ncclGetErrorString(ncclResult_t result) {
  return result == ncclRemoteError ? "remote process exited or there was a network error" : "an error of the stand-in";
}
static inline const char* ncclGetLastError(ncclComm_t) { return ""; }
