// Pinned host memory for uploads: the host neither waits for a copy nor has to keep its source.
#pragma once

#include <cuda_runtime.h>

#include <array>
#include <cstddef>

namespace expunge::cuda {

/// A ring of chunks; a chunk is reused once the stream has passed the copies out of it.
class PinnedRing {
 public:
  static constexpr std::size_t kChunkBytes = std::size_t{8} << 20;

  PinnedRing() = default;
  PinnedRing(const PinnedRing&) = delete;
  PinnedRing& operator=(const PinnedRing&) = delete;
  ~PinnedRing();
  /// Memory for at most kChunkBytes; the caller enqueues the copy out of it in `stream` before the next call.
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
