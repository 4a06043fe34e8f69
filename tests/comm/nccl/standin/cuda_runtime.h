// A stand-in for the CUDA run-time calls of the NCCL communicator: a stream is one of the program's own, on the CPU.
#pragma once

#include <atomic>
#include <memory>

#include "expunge/device.h"

enum cudaError_t { cudaSuccess, cudaErrorNotReady };
using cudaStream_t = expunge::Stream*;
struct StandinEvent {
  std::shared_ptr<std::atomic<bool>> reached;
};
using cudaEvent_t = StandinEvent*;
inline constexpr unsigned cudaEventDisableTiming = 2;

// Of internal linkage: a build with CUDA holds the real ones under the same names.
static inline cudaError_t cudaSetDevice(int) { return cudaSuccess; }
static inline cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned) {
  *event = new StandinEvent;
  return cudaSuccess;
}
static inline cudaError_t cudaEventDestroy(cudaEvent_t event) {
  delete event;
  return cudaSuccess;
}
static inline cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream) {
  event->reached = std::make_shared<std::atomic<bool>>(false);
  stream->enqueue([reached = event->reached] { *reached = true; });
  return cudaSuccess;
}
static inline cudaError_t cudaEventQuery(cudaEvent_t event) { return *event->reached ? cudaSuccess : cudaErrorNotReady; }
