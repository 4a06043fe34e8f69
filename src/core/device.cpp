// CPU streams, events and the memory pool.
#include "expunge/core/device.h"

#include <sys/mman.h>

#include <algorithm>
#include <condition_variable>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <exception>
#include <map>
#include <mutex>
#include <new>
#include <thread>
#include <unordered_map>

#include "expunge/core/error.h"

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

/// Reached once, for good or with the error that stopped its stream.
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

/// Work that throws stops the stream: what follows is skipped and every later event rethrows the error.
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
  std::exception_ptr error_;  // touched by the stream's thread alone
  std::thread thread_;        // last: starts when everything above exists
};

constexpr std::size_t kSmallAlignment = 128;
constexpr std::size_t kHugePage = std::size_t{2} << 20;

class CpuPool {
 public:
  void* allocate(std::size_t bytes) {
    const std::size_t unit = bytes >= kHugePage ? kHugePage : kSmallAlignment;
    const std::size_t size = (bytes + unit - 1) / unit * unit;
    const std::lock_guard lock(mutex_);
    // A free block may be a quarter larger than asked for: micro-batches differ a little in length.
    auto found = free_.lower_bound(size);
    void* block = nullptr;
    std::size_t taken = size;
    if (found != free_.end() && found->first <= size + size / 4) {
      block = found->second;
      taken = found->first;
      free_.erase(found);
    } else {
      block = std::aligned_alloc(unit, size);
      if (!block) throw std::bad_alloc();
      if (unit == kHugePage) madvise(block, size, MADV_HUGEPAGE);
    }
    sizes_.emplace(block, taken);
    use_.now += taken;
    use_.peak = std::max(use_.peak, use_.now);
    return block;
  }
  void release(void* block) {
    const std::lock_guard lock(mutex_);
    const auto found = sizes_.find(block);
    check(found != sizes_.end(), "freed a block that the pool did not hand out");
    use_.now -= found->second;
    free_.emplace(found->second, block);
    sizes_.erase(found);
  }
  PoolUse use() {
    const std::lock_guard lock(mutex_);
    return use_;
  }

 private:
  std::mutex mutex_;
  std::multimap<std::size_t, void*> free_;
  std::unordered_map<void*, std::size_t> sizes_;
  PoolUse use_;
};

/// Never destroyed: buffers of static lifetime may outlive any order of destruction.
CpuPool& cpu_pool() {
  static auto* pool = new CpuPool;
  return *pool;
}

void need_cpu(Device device) {
  if (device.type != DeviceType::cpu) fail(ExitCode::usage, "this build has no CUDA back end; use --device cpu");
}

/// Below this, one thread moves memory as fast as several.
constexpr std::size_t kParallelBytes = std::size_t{1} << 20;

template <typename Move>
void move_in_parallel(std::size_t bytes, Move move) {
  const auto blocks = static_cast<std::ptrdiff_t>((bytes + kParallelBytes - 1) / kParallelBytes);
#pragma omp parallel for schedule(static) if (blocks > 1)
  for (std::ptrdiff_t b = 0; b < blocks; ++b) {
    const std::size_t begin = static_cast<std::size_t>(b) * kParallelBytes;
    move(begin, std::min(kParallelBytes, bytes - begin));
  }
}

}  // namespace

std::unique_ptr<Stream> make_inline_stream() { return std::make_unique<InlineStream>(); }
std::unique_ptr<Stream> make_thread_stream() { return std::make_unique<ThreadStream>(); }

void* pool_allocate(Device device, std::size_t bytes) {
  need_cpu(device);
  return cpu_pool().allocate(bytes);
}

void pool_free(Device, void* block) { cpu_pool().release(block); }

PoolUse pool_use(Device device) {
  need_cpu(device);
  return cpu_pool().use();
}

void copy_bytes(Stream& stream, void* to, const void* from, std::size_t bytes) {
  stream.enqueue([=] {
    move_in_parallel(bytes, [=](std::size_t at, std::size_t n) {
      std::memcpy(static_cast<char*>(to) + at, static_cast<const char*>(from) + at, n);
    });
  });
}

void zero_bytes(Stream& stream, void* to, std::size_t bytes) {
  stream.enqueue(
      [=] { move_in_parallel(bytes, [=](std::size_t at, std::size_t n) { std::memset(static_cast<char*>(to) + at, 0, n); }); });
}

}  // namespace expunge
