// Streams, events and copies of a GPU.
#include "core/cuda/cuda_stream.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "core/cuda/cuda_device.h"
#include "expunge/error.h"

namespace expunge {
namespace cuda {

void must(cudaError_t code, const char* call, std::source_location where) {
  if (code == cudaSuccess) return;
  const bool environment = code == cudaErrorMemoryAllocation || code == cudaErrorInsufficientDriver ||
                           code == cudaErrorNoDevice || code == cudaErrorNoKernelImageForDevice ||
                           code == cudaErrorInvalidDevice;
  fail(environment ? ExitCode::usage : ExitCode::internal, fmt::format("{}: {}", call, cudaGetErrorString(code)), where);
}

namespace {

/// Reuses events, because creating one is a call into the driver.
class EventPool {
 public:
  cudaEvent_t take() {
    {
      const std::lock_guard lock(mutex_);
      if (!free_.empty()) {
        const cudaEvent_t event = free_.back();
        free_.pop_back();
        return event;
      }
    }
    cudaEvent_t event{};
    must(cudaEventCreateWithFlags(&event, cudaEventDisableTiming), "cudaEventCreate");
    return event;
  }
  void give_back(cudaEvent_t event) {
    const std::lock_guard lock(mutex_);
    free_.push_back(event);
  }

 private:
  std::mutex mutex_;
  std::vector<cudaEvent_t> free_;
};

/// Never destroyed, because events may outlive static objects.
EventPool& event_pool() {
  static auto* pool = new EventPool;
  return *pool;
}

}  // namespace

PinnedRing::~PinnedRing() {
  for (const Chunk& chunk : chunks_) {
    if (!chunk.memory) continue;
    cudaEventSynchronize(chunk.passed);
    cudaEventDestroy(chunk.passed);
    cudaFreeHost(chunk.memory);
  }
}

char* PinnedRing::take(cudaStream_t stream, std::size_t bytes) {
  check(bytes <= kChunkBytes, "a pinned chunk has room");
  if (used_ + bytes > kChunkBytes) {
    must(cudaEventRecord(chunks_[current_].passed, stream), "cudaEventRecord");
    current_ = (current_ + 1) % chunks_.size();
    used_ = 0;
    if (chunks_[current_].memory) must(cudaEventSynchronize(chunks_[current_].passed), "cudaEventSynchronize");
  }
  Chunk& chunk = chunks_[current_];
  if (!chunk.memory) {
    must(cudaEventCreateWithFlags(&chunk.passed, cudaEventDisableTiming), "cudaEventCreate");
    void* memory = nullptr;
    must(cudaMallocHost(&memory, kChunkBytes), "cudaMallocHost");
    chunk.memory = static_cast<char*>(memory);
  }
  return chunk.memory + std::exchange(used_, used_ + bytes);
}

void CudaStream::Failure::rethrow() {
  const std::lock_guard lock(mutex);
  if (error) std::rethrow_exception(error);
}

struct CudaStream::RecordedEvent final : Event::State {
  RecordedEvent(cudaStream_t stream, std::shared_ptr<Failure> failure) : failure_(std::move(failure)) {
    must(cudaEventRecord(event, stream), "cudaEventRecord");
  }
  ~RecordedEvent() override { event_pool().give_back(event); }
  void wait() override {
    must(cudaEventSynchronize(event), "cudaEventSynchronize");
    failure_->rethrow();
  }

  cudaEvent_t event = event_pool().take();

 private:
  std::shared_ptr<Failure> failure_;
};

CudaStream::CudaStream(int index, Urgency urgency) : index_(index) {
  must(cudaSetDevice(index), "cudaSetDevice");
  int least = 0, greatest = 0;
  must(cudaDeviceGetStreamPriorityRange(&least, &greatest), "cudaDeviceGetStreamPriorityRange");
  must(cudaStreamCreateWithPriority(&stream_, cudaStreamNonBlocking, urgency == Urgency::high ? greatest : least),
       "cudaStreamCreate");
}

CudaStream::~CudaStream() {
  cudaStreamSynchronize(stream_);
  if (download_) cudaFreeHost(download_);
  cudaStreamDestroy(stream_);
}

void CudaStream::enqueue(std::function<void()> work) {
  struct HostWork {
    std::function<void()> work;
    std::shared_ptr<Failure> failure;
    void run() {
      const std::lock_guard lock(failure->mutex);
      if (failure->error) return;
      try {
        work();
      } catch (...) {
        failure->error = std::current_exception();
      }
    }
  };
  auto host_work = std::make_unique<HostWork>(HostWork{std::move(work), failure_});
  must(cudaLaunchHostFunc(
           stream_,
           [](void* data) {
             const std::unique_ptr<HostWork> mine(static_cast<HostWork*>(data));
             mine->run();
           },
           host_work.get()),
       "cudaLaunchHostFunc");
  (void)host_work.release();
}

Event CudaStream::record() { return Event(std::make_shared<RecordedEvent>(stream_, failure_)); }

void CudaStream::wait(const Event& event) {
  if (!event.state()) return;
  if (const auto* recorded = dynamic_cast<const RecordedEvent*>(event.state().get()))
    must(cudaStreamWaitEvent(stream_, recorded->event, 0), "cudaStreamWaitEvent");
  else
    enqueue([event] { event.wait(); });
}

void CudaStream::synchronize() {
  must(cudaStreamSynchronize(stream_), "cudaStreamSynchronize");
  failure_->rethrow();
  for (const Delivery& delivery : deliveries_) std::memcpy(delivery.to, delivery.pinned, delivery.bytes);
  deliveries_.clear();
  downloaded_ = 0;
}

char* CudaStream::scratch(std::size_t bytes) {
  if (bytes > scratch_.size()) {
    scratch_ = {};  // lets the pool return this block to the system before the larger request
    scratch_ = Buffer<char>(device(), bytes);
  }
  return scratch_.data();
}

void CudaStream::copy_to_device(void* to, const void* from, std::size_t bytes) {
  for (std::size_t at = 0; at < bytes; at += PinnedRing::kChunkBytes) {
    const std::size_t n = std::min(PinnedRing::kChunkBytes, bytes - at);
    char* const pinned = upload_.take(stream_, n);
    std::memcpy(pinned, static_cast<const char*>(from) + at, n);
    must(cudaMemcpyAsync(static_cast<char*>(to) + at, pinned, n, cudaMemcpyHostToDevice, stream_), "cudaMemcpyAsync");
  }
}

void CudaStream::copy_to_host(void* to, const void* from, std::size_t bytes) {
  if (!download_) {
    void* memory = nullptr;
    must(cudaMallocHost(&memory, kDownloadBytes), "cudaMallocHost");
    download_ = static_cast<char*>(memory);
  }
  for (std::size_t at = 0; at < bytes;) {
    if (downloaded_ == kDownloadBytes) synchronize();
    const std::size_t n = std::min(kDownloadBytes - downloaded_, bytes - at);
    char* const pinned = download_ + downloaded_;
    must(cudaMemcpyAsync(pinned, static_cast<const char*>(from) + at, n, cudaMemcpyDeviceToHost, stream_), "cudaMemcpyAsync");
    deliveries_.push_back({static_cast<char*>(to) + at, pinned, n});
    downloaded_ += n;
    at += n;
  }
}

cudaStream_t handle(Stream& stream) { return static_cast<CudaStream&>(stream).handle(); }

void copy_bytes(Stream& stream, void* to, const void* from, std::size_t bytes) {
  if (bytes > 0) must(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToDevice, handle(stream)), "cudaMemcpyAsync");
}

void copy_to_device(Stream& stream, void* to, const void* from, std::size_t bytes) {
  static_cast<CudaStream&>(stream).copy_to_device(to, from, bytes);
}

void copy_to_host(Stream& stream, void* to, const void* from, std::size_t bytes) {
  static_cast<CudaStream&>(stream).copy_to_host(to, from, bytes);
}

void zero_bytes(Stream& stream, void* to, std::size_t bytes) {
  if (bytes > 0) must(cudaMemsetAsync(to, 0, bytes, handle(stream)), "cudaMemsetAsync");
}

}  // namespace cuda

std::unique_ptr<Stream> make_cuda_stream(int index, Urgency urgency) {
  return std::make_unique<cuda::CudaStream>(index, urgency);
}

}  // namespace expunge
