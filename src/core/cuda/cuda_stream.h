// A CUDA stream with what kernels and NCCL need beyond Stream: its handle, scratch memory and pinned copies.
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

/// Throws Error(internal) for a CUDA error, but Error(usage) if memory, the driver or the device is missing.
void must(cudaError_t code, const char* call, std::source_location where = std::source_location::current());

class CudaStream final : public Stream {
 public:
  CudaStream(int index, Urgency urgency);
  ~CudaStream() override;
  Device device() const override { return {DeviceType::cuda, index_}; }
  /// Host work that throws stops the host work of this stream: later work is skipped; synchronize() and events rethrow.
  void enqueue(std::function<void()> work) override;
  Event record() override;
  void wait(const Event& event) override;
  void synchronize() override;

  cudaStream_t handle() const { return stream_; }
  /// Memory for the next enqueued work; the next call of scratch() invalidates its contents. It only grows. Running work
  /// keeps its block, because the pool's next owner follows it in this stream. Aligned to 128 bytes.
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
  /// Bytes that arrive in pinned memory and must be copied to `to`.
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

/// The CUDA handle of a stream of a GPU.
cudaStream_t handle(Stream& stream);

}  // namespace expunge::cuda
