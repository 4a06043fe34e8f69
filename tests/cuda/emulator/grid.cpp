// Runs kernels on the host: each thread of a block is a context of its own, and they take turns where they meet.
#include <cuda_runtime.h>
#include <setjmp.h>
#include <ucontext.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <deque>
#include <memory>
#include <stdexcept>
#include <utility>
#include <vector>

#include <ptx/instructions.cuh>
#include "emulator/device_memory.h"

thread_local dim3 threadIdx, blockIdx, blockDim, gridDim;

namespace expunge::cuda::emulator {
namespace {

constexpr int kWarp = 32, kMostThreads = 1024;
constexpr std::size_t kStackBytes = std::size_t{128} << 10;

/// What a thread of the block is doing.
enum class State { ready, at_warp, at_block, done };

struct Copy {
  void* to;
  const void* from;
  bool valid;
};

/// A place to go on from. Going there by longjmp makes no system call, as swapcontext does.
struct Place {
  jmp_buf registers;
};
[[gnu::noinline]] void leave(Place& from, Place& to) {
  if (_setjmp(from.registers) == 0) _longjmp(to.registers, 1);
}
[[gnu::noinline]] void leave(Place& from, const ucontext_t& to) {
  if (_setjmp(from.registers) == 0) setcontext(&to);
}

struct Thread {
  Place place;
  std::unique_ptr<char[]> stack;  // null until its first block
  State state = State::ready;
  int parity = 0;  // of the slots that show() writes
  std::vector<Copy> open;
  std::deque<std::vector<Copy>> groups;
};

/// The threads of one block after the other; they live on between blocks, for new contexts take longer than most kernels.
class Block {
 public:
  void launch(int threads, std::size_t shared_bytes, const std::function<void()>& body) {
    body_ = &body;
    while (threads_.size() < std::size_t(threads)) threads_.push_back(std::make_unique<Thread>());
    warps_.resize(std::size_t(threads / kWarp));
    shared_.resize(shared_bytes + kAlignment);
    size_ = std::size_t(threads);
  }

  /// Threads run in falling order where `backwards`: a missing barrier then shows.
  void run(bool backwards) {
    std::fill(shared_.begin(), shared_.end(), static_cast<unsigned char>(0xff));  // not a number, in every float type
    for (Warp& warp : warps_) warp.waiting = warp.done = 0;
    alive_ = int(size_);
    waiting_ = votes_ = result_ = 0;
    for (std::size_t t = 0; t < size_; ++t) {
      Thread& thread = *threads_[t];
      thread.state = State::ready, thread.parity = 0;
      thread.open.clear(), thread.groups.clear();
    }
    while (alive_ > 0) {
      bool progress = false;
      for (std::size_t i = 0; i < size_; ++i) {
        const std::size_t t = backwards ? size_ - 1 - i : i;
        if (threads_[t]->state != State::ready) continue;
        progress = true;
        resume(t);
      }
      if (!progress) {
        threads_.clear();  // where they wait, nobody will go on
        throw std::logic_error("threads of a block wait for others that do not come");
      }
    }
  }

  void block_barrier(int vote) {
    votes_ |= vote;
    if (++waiting_ == alive_) return release_block();
    wait(State::at_block);
  }
  int vote_result() const { return result_; }
  void warp_barrier() {
    Warp& warp = my_warp();
    if (++warp.waiting == kWarp - warp.done) return release_warp();
    wait(State::at_warp);
  }
  void show(const void* value, std::size_t bytes) {
    Thread& thread = me();
    thread.parity ^= 1;
    std::memcpy(my_warp().slots[thread.parity][lane()], value, bytes);
    if (my_warp().done > 0) throw std::logic_error("a lane of the warp has ended");
    warp_barrier();
  }
  const unsigned char* slots() { return my_warp().slots[me().parity][0]; }
  int lane() const { return running_ % kWarp; }
  unsigned char* shared() {
    return shared_.data() + (kAlignment - reinterpret_cast<std::uintptr_t>(shared_.data()) % kAlignment) % kAlignment;
  }
  Thread& me() { return *threads_[std::size_t(running_)]; }

 private:
  struct Warp {
    int waiting = 0, done = 0;
    unsigned char slots[2][kWarp][kSlotBytes];
  };
  static void start();
  void resume(std::size_t t) {
    running_ = int(t);
    threadIdx = dim3(unsigned(t), 0, 0);
    Thread& thread = *threads_[t];
    if (thread.stack) return leave(scheduler_, thread.place);
    thread.stack = std::make_unique_for_overwrite<char[]>(kStackBytes);
    ucontext_t context{};
    getcontext(&context);
    context.uc_stack = {thread.stack.get(), 0, kStackBytes};
    context.uc_link = nullptr;
    makecontext(&context, start, 0);
    leave(scheduler_, context);
  }
  void finish() {
    me().state = State::done;
    --alive_;
    Warp& warp = my_warp();
    ++warp.done;
    // Whoever ends no longer holds up the others.
    if (warp.waiting > 0 && warp.waiting == kWarp - warp.done) release_warp();
    if (waiting_ > 0 && waiting_ == alive_) release_block();
    leave(me().place, scheduler_);
  }
  void wait(State state) {
    me().state = state;
    leave(me().place, scheduler_);
  }
  void release_block() {
    waiting_ = 0;
    result_ = votes_;
    votes_ = 0;
    for (std::size_t t = 0; t < size_; ++t)
      if (threads_[t]->state == State::at_block) threads_[t]->state = State::ready;
  }
  void release_warp() {
    my_warp().waiting = 0;
    const std::size_t first = std::size_t(running_ / kWarp * kWarp);
    for (std::size_t t = first; t < first + kWarp; ++t)
      if (threads_[t]->state == State::at_warp) threads_[t]->state = State::ready;
  }
  Warp& my_warp() { return warps_[std::size_t(running_ / kWarp)]; }

  const std::function<void()>* body_ = nullptr;
  std::size_t size_ = 0;                          // threads of the block
  std::vector<std::unique_ptr<Thread>> threads_;  // those of the largest block so far
  std::vector<Warp> warps_;
  static constexpr std::size_t kAlignment = 256;
  std::vector<unsigned char> shared_;
  Place scheduler_;
  int running_ = 0, alive_ = 0, waiting_ = 0, votes_ = 0, result_ = 0;
};

/// Made by the first launch and never destroyed: its threads stand on their stacks.
constinit thread_local Block* block = nullptr;
Block& current() { return *block; }

void Block::start() {
  for (;;) {
    (*current().body_)();
    current().finish();
  }
}

void perform(const Copy& copy) {
  if (copy.valid)
    std::memcpy(copy.to, copy.from, 16);
  else
    std::memset(copy.to, 0, 16);
}

}  // namespace

void run_grid(dim3 grid, int threads, std::size_t shared_bytes, const std::function<void()>& body) {
  if (threads % kWarp != 0 || threads > kMostThreads) throw std::logic_error("a block is of whole warps, at most 32");
  const DeviceAccess access;
  if (!block) block = new Block;
  block->launch(threads, shared_bytes, body);
  gridDim = grid;
  blockDim = dim3(unsigned(threads));
  bool backwards = false;
  for (unsigned z = 0; z < grid.z; ++z)
    for (unsigned y = 0; y < grid.y; ++y)
      for (unsigned x = grid.x; x-- > 0;) {  // the last first: rows that a block writes beyond its own show
        blockIdx = dim3(x, y, z);
        block->run(backwards = !backwards);
      }
}

unsigned char* dynamic_shared() { return current().shared(); }
void show(const void* value, std::size_t bytes) { current().show(value, bytes); }
const unsigned char* slots() { return current().slots(); }
int lane() { return current().lane(); }

// Copies are done as late as they may be: a missing wait then shows.
void copy_async(std::uintptr_t to, const void* from, bool valid) {
  if (to % 16 != 0 || (valid && reinterpret_cast<std::uintptr_t>(from) % 16 != 0))
    throw std::logic_error("a copy of 16 bytes is not aligned");
  current().me().open.push_back({reinterpret_cast<void*>(to), from, valid});
}
void copy_async_commit() { current().me().groups.push_back(std::exchange(current().me().open, {})); }
void copy_async_wait(int pending) {
  auto& groups = current().me().groups;
  for (; int(groups.size()) > pending; groups.pop_front())
    for (const Copy& copy : groups.front()) perform(copy);
}

}  // namespace expunge::cuda::emulator

using expunge::cuda::emulator::current;

void __syncthreads() { current().block_barrier(0); }
int __syncthreads_or(int predicate) {
  current().block_barrier(predicate != 0);
  return current().vote_result();
}
void __syncwarp() { current().warp_barrier(); }
unsigned __ballot_sync(unsigned, int predicate) {
  const int mine = predicate != 0;
  expunge::cuda::emulator::show(&mine, sizeof(mine));
  const unsigned char* const slots = current().slots();
  unsigned result = 0;
  for (int lane = 0; lane < 32; ++lane)
    result |= unsigned(*reinterpret_cast<const int*>(slots + lane * expunge::cuda::emulator::kSlotBytes) != 0) << lane;
  return result;
}
