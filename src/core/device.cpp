// CPU streams, events and the memory pool.
#include "expunge/device.h"

#include <sys/mman.h>

#include <algorithm>
#include <condition_variable>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <exception>
#include <mutex>
#include <new>
#include <thread>

#include "core/block_pool.h"
#include "core/cuda/cuda_device.h"
#include "core/parallel.h"
#include "expunge/error.h"

namespace expunge {
namespace {

class InlineStream final : public Stream {
 public:
  Device device() const override { return {}; }
  void enqueue(std::function<void()> work) override { work(); }
  Event record() override { return {}; }
  void wait(const Event& event) override { event.wait(); }
  void synchronize() override {}
};

/// An event that is reached once, with or without the error that stopped its stream.
class HostEvent final : public Event::State {
 public:
  void wait() override {
    std::unique_lock lock(mutex_);
    reached_cv_.wait(lock, [this] { return reached_; });
    if (error_) std::rethrow_exception(error_);
  }
  void reach(std::exception_ptr error) {
    {
      const std::lock_guard lock(mutex_);
      reached_ = true;
      error_ = std::move(error);
    }
    reached_cv_.notify_all();
  }

 private:
  std::mutex mutex_;
  std::condition_variable reached_cv_;
  bool reached_ = false;
  std::exception_ptr error_;
};

/// Work that throws stops the stream: later work is skipped and every later event rethrows the error.
class ThreadStream final : public Stream {
 public:
  ThreadStream() : thread_([this] { run(); }) {}
  ~ThreadStream() override {
    {
      const std::lock_guard lock(mutex_);
      closing_ = true;
    }
    queued_.notify_one();
    thread_.join();
  }
  Device device() const override { return {}; }
  void enqueue(std::function<void()> work) override {
    push([this, work = std::move(work)] {
      if (error_) return;
      try {
        work();
      } catch (...) {
        error_ = std::current_exception();
      }
    });
  }
  Event record() override {
    auto state = std::make_shared<HostEvent>();
    push([this, state] { state->reach(error_); });
    return Event(state);
  }
  void wait(const Event& event) override {
    enqueue([event] { event.wait(); });
  }
  void synchronize() override { record().wait(); }

 private:
  void push(std::function<void()> task) {
    {
      const std::lock_guard lock(mutex_);
      tasks_.push_back(std::move(task));
    }
    queued_.notify_one();
  }
  void run() {
    for (;;) {
      std::function<void()> task;
      {
        std::unique_lock lock(mutex_);
        queued_.wait(lock, [this] { return closing_ || !tasks_.empty(); });
        if (tasks_.empty()) return;
        task = std::move(tasks_.front());
        tasks_.pop_front();
      }
      task();
    }
  }

  std::mutex mutex_;
  std::condition_variable queued_;
  std::deque<std::function<void()>> tasks_;
  bool closing_ = false;
  std::exception_ptr error_;  // only the stream's thread accesses it
  std::thread thread_;        // last member: the thread uses everything above
};

constexpr std::size_t kSmallAlignment = 128;
constexpr std::size_t kHugePage = std::size_t{2} << 20;

/// Large blocks are huge pages, because the first touch of fresh pages dominates the cost.
struct HostMemory {
  static std::size_t unit(std::size_t bytes) { return bytes >= kHugePage ? kHugePage : kSmallAlignment; }
  static std::size_t round(std::size_t bytes) { return (bytes + unit(bytes) - 1) / unit(bytes) * unit(bytes); }
  template <typename ReleaseFree>
  static void* allocate(std::size_t size, ReleaseFree release_free) {
    void* block = std::aligned_alloc(unit(size), size);
    if (!block) {
      release_free();
      block = std::aligned_alloc(unit(size), size);
    }
    if (!block) throw std::bad_alloc();
    if (unit(size) == kHugePage) madvise(block, size, MADV_HUGEPAGE);
    return block;
  }
  static void release(void* block) { std::free(block); }
};

/// Never destroyed, because buffers of static lifetime may outlive static objects.
BlockPool<HostMemory>& cpu_pool() {
  static auto* pool = new BlockPool<HostMemory>;
  return *pool;
}

/// For fewer bytes, one thread copies as fast as several.
constexpr std::size_t kParallelBytes = std::size_t{1} << 20;

template <typename Move>
void move_in_parallel(std::size_t bytes, Move move) {
  const std::size_t blocks = (bytes + kParallelBytes - 1) / kParallelBytes;
  parallel_for(blocks, kParallelBytes, [&](std::size_t b) {
    const std::size_t begin = b * kParallelBytes;
    move(begin, std::min(kParallelBytes, bytes - begin));
  });
}

}  // namespace

std::string device_name(DeviceType type) { return type == DeviceType::cuda ? "cuda" : "cpu"; }

std::unique_ptr<Stream> make_inline_stream() { return std::make_unique<InlineStream>(); }
std::unique_ptr<Stream> make_thread_stream() { return std::make_unique<ThreadStream>(); }

void* pool_allocate(Device device, std::size_t bytes) {
  return device.type == DeviceType::cpu ? cpu_pool().allocate(bytes) : cuda::pool_allocate(device.index, bytes);
}

void pool_free(Device device, void* block) {
  if (device.type == DeviceType::cpu)
    cpu_pool().release(block);
  else
    cuda::pool_free(device.index, block);
}

PoolUse pool_use(Device device) { return device.type == DeviceType::cpu ? cpu_pool().use() : cuda::pool_use(device.index); }

namespace {

void copy_on_host(Stream& stream, void* to, const void* from, std::size_t bytes) {
  stream.enqueue([=] {
    move_in_parallel(bytes, [=](std::size_t at, std::size_t n) {
      std::memcpy(static_cast<char*>(to) + at, static_cast<const char*>(from) + at, n);
    });
  });
}

bool on_cpu(const Stream& stream) { return stream.device().type == DeviceType::cpu; }

}  // namespace

void copy_bytes(Stream& stream, void* to, const void* from, std::size_t bytes) {
  on_cpu(stream) ? copy_on_host(stream, to, from, bytes) : cuda::copy_bytes(stream, to, from, bytes);
}

void copy_to_device(Stream& stream, void* to, const void* from, std::size_t bytes) {
  on_cpu(stream) ? copy_on_host(stream, to, from, bytes) : cuda::copy_to_device(stream, to, from, bytes);
}

void copy_to_host(Stream& stream, void* to, const void* from, std::size_t bytes) {
  on_cpu(stream) ? copy_on_host(stream, to, from, bytes) : cuda::copy_to_host(stream, to, from, bytes);
}

void zero_bytes(Stream& stream, void* to, std::size_t bytes) {
  if (!on_cpu(stream)) return cuda::zero_bytes(stream, to, bytes);
  stream.enqueue(
      [=] { move_in_parallel(bytes, [=](std::size_t at, std::size_t n) { std::memset(static_cast<char*>(to) + at, 0, n); }); });
}

}  // namespace expunge
