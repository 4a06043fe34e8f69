// CUDA's runtime for kernels that run on the host. A stream's work is done as late as it may be, when somebody waits for it: an
// event that nobody waits for, or memory that changes too early, then shows.
#include <cuda_runtime.h>

#include <cstdlib>
#include <cstring>
#include <deque>
#include <memory>
#include <stdexcept>
#include <utility>

#include "emulator/device_memory.h"
#include "emulator/streams.h"

namespace expunge::cuda::emulator {

struct Queue {
  std::deque<std::function<void()>> work;
  std::size_t enqueued = 0, done = 0;
  bool running = false;
};

namespace {

/// Does the first `upto` pieces of work of a stream.
void drain(Queue& queue, std::size_t upto) {
  if (queue.done >= upto) return;
  if (queue.running) throw std::logic_error("streams wait for each other");
  queue.running = true;
  while (queue.done < upto) {
    const auto work = std::move(queue.work.front());
    queue.work.pop_front();
    work();
    ++queue.done;
  }
  queue.running = false;
}

}  // namespace
}  // namespace expunge::cuda::emulator

using namespace expunge::cuda::emulator;

struct EmulatedStream {
  std::shared_ptr<Queue> queue = std::make_shared<Queue>();
};
/// A point in a stream's work; of none before it is recorded.
struct EmulatedEvent {
  std::shared_ptr<Queue> queue;
  std::size_t at = 0;
};

void expunge::cuda::emulator::enqueue(cudaStream_t stream, std::function<void()> work) {
  stream->queue->work.push_back(std::move(work));
  ++stream->queue->enqueued;
}

const char* cudaGetErrorString(cudaError_t) { return "emulated error"; }
cudaError_t cudaGetLastError() { return cudaSuccess; }
cudaError_t cudaGetDeviceCount(int* count) {
  *count = 1;
  return cudaSuccess;
}
cudaError_t cudaGetDeviceProperties(cudaDeviceProp* properties, int) {
  *properties = {"emulated", {}, 9, 0, 1};
  return cudaSuccess;
}
cudaError_t cudaSetDevice(int) { return cudaSuccess; }
cudaError_t cudaMemGetInfo(std::size_t* free, std::size_t* total) {
  *free = *total = free_device_memory();
  return cudaSuccess;
}
cudaError_t cudaMalloc(void** to, std::size_t bytes) {
  *to = allocate_device_memory(bytes);
  return *to ? cudaSuccess : cudaErrorMemoryAllocation;
}
cudaError_t cudaFree(void*) { return cudaSuccess; }
cudaError_t cudaMallocHost(void** to, std::size_t bytes) {
  *to = std::aligned_alloc(512, (bytes + 511) / 512 * 512);
  return *to ? cudaSuccess : cudaErrorMemoryAllocation;
}
cudaError_t cudaFreeHost(void* p) {
  std::free(p);
  return cudaSuccess;
}
cudaError_t cudaMemcpyAsync(void* to, const void* from, std::size_t bytes, cudaMemcpyKind kind, cudaStream_t stream) {
  if (is_device_memory(to) != (kind != cudaMemcpyDeviceToHost) || is_device_memory(from) != (kind != cudaMemcpyHostToDevice))
    throw std::logic_error("a copy between host and device goes another way than it says");
  enqueue(stream, [=] {
    const DeviceAccess access;
    std::memmove(to, from, bytes);
  });
  return cudaSuccess;
}
cudaError_t cudaMemsetAsync(void* to, int value, std::size_t bytes, cudaStream_t stream) {
  enqueue(stream, [=] {
    const DeviceAccess access;
    std::memset(to, value, bytes);
  });
  return cudaSuccess;
}
cudaError_t cudaDeviceGetStreamPriorityRange(int* least, int* greatest) {
  *least = *greatest = 0;
  return cudaSuccess;
}
cudaError_t cudaStreamCreateWithPriority(cudaStream_t* stream, unsigned, int) {
  *stream = new EmulatedStream;
  return cudaSuccess;
}
cudaError_t cudaStreamDestroy(cudaStream_t stream) {
  delete stream;
  return cudaSuccess;
}
cudaError_t cudaStreamSynchronize(cudaStream_t stream) {
  drain(*stream->queue, stream->queue->enqueued);
  return cudaSuccess;
}
cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned) {
  if (event->queue) enqueue(stream, [point = *event] { drain(*point.queue, point.at); });
  return cudaSuccess;
}
cudaError_t cudaLaunchHostFunc(cudaStream_t stream, void (*work)(void*), void* data) {
  enqueue(stream, [=] { work(data); });
  return cudaSuccess;
}
cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned) {
  *event = new EmulatedEvent;
  return cudaSuccess;
}
cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream) {
  *event = {stream->queue, stream->queue->enqueued};
  return cudaSuccess;
}
cudaError_t cudaEventSynchronize(cudaEvent_t event) {
  if (event->queue) drain(*event->queue, event->at);
  return cudaSuccess;
}
cudaError_t cudaEventDestroy(cudaEvent_t event) {
  delete event;
  return cudaSuccess;
}
cudaError_t cudaFuncSetAttribute(const void*, int, int) { return cudaSuccess; }
