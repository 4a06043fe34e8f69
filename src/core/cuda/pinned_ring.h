// Pinned host memory through which uploads pass, so that the host neither waits nor has to keep what it uploads.
#pragma once

#include <cuda_runtime.h>

#include <array>
#include <cstddef>

namespace expunge::cuda {

/// Chunks in turn; a chunk is used again when the stream has passed the copies out of it.
class PinnedRing {
 public:
  static constexpr std::size_t kChunkBytes = std::size_t{8} << 20;

  PinnedRing() = default;
  PinnedRing(const PinnedRing&) = delete;
  PinnedRing& operator=(const PinnedRing&) = delete;
  ~PinnedRing();
  /// Room for at most kChunkBytes, to be copied from in `stream` before the next call.
  char* take(cudaStream_t stream, std::size_t bytes);

 private:
  struct Chunk {
    char* memory = nullptr;
    cudaEvent_t passed{};
  };
  std::array<Chunk, 4> chunks_{};
  std::size_t current_ = 0, used_ = 0;
};

}  // namespace expunge::cuda
