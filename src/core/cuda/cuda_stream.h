// A stream of a GPU: what kernels and NCCL need of it beyond Stream.
#pragma once

#include <cuda_runtime.h>

#include <cstddef>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <source_location>
#include <vector>

#include "core/cuda/pinned_ring.h"
#include "expunge/device.h"

namespace expunge::cuda {

/// Throws Error(internal) for a CUDA error, Error(usage) where memory or the driver is what is missing.
void must(cudaError_t code, const char* call, std::source_location where = std::source_location::current());

class CudaStream final : public Stream {
 public:
  CudaStream(int index, Urgency urgency);
  ~CudaStream() override;
  Device device() const override { return {DeviceType::cuda, index_}; }
  /// Work that throws stops the stream's host work: what follows is skipped, and synchronize() and events rethrow the error.
  void enqueue(std::function<void()> work) override;
  Event record() override;
  void wait(const Event& event) override;
  void synchronize() override;

  cudaStream_t handle() const { return stream_; }
  /// Memory for the work that is enqueued next, until somebody asks again; its contents are lost then. Grows only. Work under
  /// way keeps what it was given, as the pool's next owner follows it in this stream. Starts at a multiple of 128 bytes.
  char* scratch(std::size_t bytes);
  void copy_to_device(void* to, const void* from, std::size_t bytes);
  void copy_to_host(void* to, const void* from, std::size_t bytes);

 private:
  /// Shared with events and host work, which may outlive the stream.
  struct Failure {
    std::mutex mutex;
    std::exception_ptr error;
    void rethrow();
  };
  /// Bytes that arrive in pinned memory and belong elsewhere.
  struct Delivery {
    void* to;
    const void* pinned;
    std::size_t bytes;
  };
  struct RecordedEvent;
  static constexpr std::size_t kDownloadBytes = std::size_t{32} << 20;

  int index_;
  cudaStream_t stream_{};
  std::shared_ptr<Failure> failure_ = std::make_shared<Failure>();
  PinnedRing upload_;
  char* download_ = nullptr;  // pinned, kDownloadBytes
  std::size_t downloaded_ = 0;
  std::vector<Delivery> deliveries_;
  Buffer<char> scratch_;
};

/// The CUDA stream under a stream of a GPU.
cudaStream_t handle(Stream& stream);

}  // namespace expunge::cuda
