// A stand-in for the streams of a GPU.
#pragma once

#include <cuda_runtime.h>

#include "expunge/error.h"

namespace expunge::cuda {

static inline cudaStream_t handle(Stream& stream) { return &stream; }
static inline void must(cudaError_t code, const char* call) { check(code == cudaSuccess, call); }

}  // namespace expunge::cuda
