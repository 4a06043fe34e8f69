// The emulated GPU's memory: one range of addresses, closed to the host by the processor's own protection.
#include "emulator/device_memory.h"

#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <string_view>

namespace expunge::cuda::emulator {
namespace {

constexpr std::size_t kBytes = std::size_t{8} << 30;  // of addresses; pages come with their first use
constexpr std::size_t kHugePage = std::size_t{2} << 20;

class Memory {
 public:
  Memory() {
    void* const range = mmap(nullptr, kBytes + kHugePage, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (range == MAP_FAILED) std::abort();
    const auto address = reinterpret_cast<std::uintptr_t>(range);
    begin_ = static_cast<char*>(range) + (kHugePage - address % kHugePage);
    madvise(begin_, kBytes, MADV_HUGEPAGE);  // opening and closing takes time by the page
    struct sigaction action {};
    action.sa_sigaction = explain;
    action.sa_flags = SA_SIGINFO | SA_RESETHAND;
    sigaction(SIGSEGV, &action, nullptr);
  }
  /// Nothing is used again: what is read after it was freed is still there, as on a GPU it may not be.
  void* allocate(std::size_t bytes) {
    const std::lock_guard lock(mutex_);
    char* const block = begin_ + used_;
    used_ += (bytes + 511) / 512 * 512;
    return used_ > kBytes ? nullptr : block;
  }
  bool contains(const void* p) const { return p >= begin_ && p < begin_ + kBytes; }
  std::size_t free() const { return kBytes - used_; }
  void open() {
    const std::lock_guard lock(mutex_);
    if (users_++ == 0) protect(PROT_READ | PROT_WRITE);
  }
  void close() {
    const std::lock_guard lock(mutex_);
    if (--users_ == 0) protect(PROT_NONE);
  }

 private:
  void protect(int protection) const {
    if (mprotect(begin_, kBytes, protection) != 0) std::abort();
  }
  static void explain(int, siginfo_t* info, void*);

  char* begin_;
  std::size_t used_ = 0;
  int users_ = 0;
  std::mutex mutex_;
};

Memory& memory() {
  static auto* memory = new Memory;
  return *memory;
}

void Memory::explain(int, siginfo_t* info, void*) {
  constexpr std::string_view kText = "emulated GPU: the host touched memory of the device\n";
  if (memory().contains(info->si_addr)) (void)!write(STDERR_FILENO, kText.data(), kText.size());
}

}  // namespace

void* allocate_device_memory(std::size_t bytes) {
  void* const block = memory().allocate(bytes);
  if (!block) return nullptr;
  const DeviceAccess access;
  std::memset(block, 0xff, bytes);  // not a number: what nobody wrote shows
  return block;
}
bool is_device_memory(const void* p) { return memory().contains(p); }
std::size_t free_device_memory() { return memory().free(); }

DeviceAccess::DeviceAccess() { memory().open(); }
DeviceAccess::~DeviceAccess() { memory().close(); }

}  // namespace expunge::cuda::emulator
