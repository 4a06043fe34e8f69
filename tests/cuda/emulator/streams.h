// The work of emulated streams.
#pragma once

#include <cuda_runtime.h>

#include <functional>

namespace expunge::cuda::emulator {

/// Puts work at the end of a stream.
void enqueue(cudaStream_t stream, std::function<void()> work);

}  // namespace expunge::cuda::emulator
