// Reuses freed blocks of memory: an allocation by the system is slow, and on a GPU it stops all work.
#pragma once

#include <algorithm>
#include <cstddef>
#include <map>
#include <mutex>
#include <unordered_map>

#include "expunge/device.h"
#include "expunge/error.h"

namespace expunge {

/// System has `std::size_t round(bytes)`, the block size that serves a request. `void* allocate(size, release_free)` throws
/// if there is no memory; `void release(void*)` returns a block.
template <typename System>
class BlockPool {
 public:
  void* allocate(std::size_t bytes) {
    const std::size_t size = system_.round(bytes);
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
      block = system_.allocate(size, [this] { release_free(); });
      use_.from_system += size;
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
  /// Returns all free blocks when the system has no memory left.
  void release_free() {
    for (const auto& [size, block] : free_) system_.release(block);
    free_.clear();
  }

  System system_;
  std::mutex mutex_;
  std::multimap<std::size_t, void*> free_;
  std::unordered_map<void*, std::size_t> sizes_;
  PoolUse use_;
};

}  // namespace expunge
