// Runs kernels on the host: each thread of a block is a context of its own, and they take turns where they meet.
#include <cuda_runtime.h>
#include <ucontext.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <deque>
#include <memory>
#include <stdexcept>
#include <utility>
#include <vector>

#include "emulator/instructions.h"

thread_local dim3 threadIdx, blockIdx, blockDim, gridDim;

namespace expunge::cuda::emulator {
namespace {

constexpr int kWarp = 32;
constexpr std::size_t kStackBytes = std::size_t{128} << 10;

class Block;
thread_local Block* current = nullptr;

/// What a thread of the block is doing.
enum class State { ready, at_warp, at_block, done };

struct Copy {
  void* to;
  const void* from;
  bool valid;
};

struct Thread {
  ucontext_t context{};
  State state = State::ready;
  int parity = 0;  // of the slots that show() writes
  std::vector<Copy> open;
  std::deque<std::vector<Copy>> groups;
};

class Block {
 public:
  Block(int threads, std::size_t shared_bytes, const std::function<void()>& body)
      : body_(body), threads_(std::size_t(threads)), warps_(std::size_t(threads / kWarp)), shared_(shared_bytes + 128) {
    for (std::size_t t = 0; t < threads_.size(); ++t) stacks_.push_back(std::make_unique<char[]>(kStackBytes));
  }

  /// Threads run in falling order where `backwards`: a missing barrier then shows.
  void run(bool backwards) {
    current = this;
    std::fill(shared_.begin(), shared_.end(), static_cast<unsigned char>(0xff));  // not a number, in every float type
    for (Warp& warp : warps_) warp = {};
    alive_ = int(threads_.size());
    waiting_ = votes_ = result_ = 0;
    for (std::size_t t = 0; t < threads_.size(); ++t) {
      threads_[t].state = State::ready, threads_[t].parity = 0;
      threads_[t].open.clear(), threads_[t].groups.clear();
      getcontext(&threads_[t].context);
      threads_[t].context.uc_stack = {stacks_[t].get(), 0, kStackBytes};
      threads_[t].context.uc_link = nullptr;
      makecontext(&threads_[t].context, start, 0);
    }
    while (alive_ > 0) {
      bool progress = false;
      for (std::size_t i = 0; i < threads_.size(); ++i) {
        const std::size_t t = backwards ? threads_.size() - 1 - i : i;
        if (threads_[t].state != State::ready) continue;
        progress = true;
        running_ = int(t);
        threadIdx = dim3(unsigned(t), 0, 0);
        swapcontext(&scheduler_, &threads_[t].context);
      }
      if (!progress) throw std::logic_error("threads of a block wait for others that do not come");
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
  const unsigned char* slot(int from) { return my_warp().slots[me().parity][from]; }
  int lane() const { return running_ % kWarp; }
  unsigned char* shared() { return shared_.data() + (128 - reinterpret_cast<std::uintptr_t>(shared_.data()) % 128) % 128; }
  Thread& me() { return threads_[std::size_t(running_)]; }

 private:
  struct Warp {
    int waiting = 0, done = 0;
    unsigned char slots[2][kWarp][kSlotBytes];
  };
  static void start() {
    current->body_();
    current->finish();
  }
  void finish() {
    me().state = State::done;
    --alive_;
    Warp& warp = my_warp();
    ++warp.done;
    // Whoever ends no longer holds up the others.
    if (warp.waiting > 0 && warp.waiting == kWarp - warp.done) release_warp();
    if (waiting_ > 0 && waiting_ == alive_) release_block();
    swapcontext(&me().context, &scheduler_);
  }
  void wait(State state) {
    me().state = state;
    swapcontext(&me().context, &scheduler_);
  }
  void release_block() {
    waiting_ = 0;
    result_ = votes_;
    votes_ = 0;
    for (Thread& thread : threads_)
      if (thread.state == State::at_block) thread.state = State::ready;
  }
  void release_warp() {
    my_warp().waiting = 0;
    const std::size_t first = std::size_t(running_ / kWarp * kWarp);
    for (std::size_t t = first; t < first + kWarp; ++t)
      if (threads_[t].state == State::at_warp) threads_[t].state = State::ready;
  }
  Warp& my_warp() { return warps_[std::size_t(running_ / kWarp)]; }

  const std::function<void()>& body_;
  std::vector<Thread> threads_;
  std::vector<Warp> warps_;
  std::vector<unsigned char> shared_;
  std::vector<std::unique_ptr<char[]>> stacks_;
  ucontext_t scheduler_{};
  int running_ = 0, alive_ = 0, waiting_ = 0, votes_ = 0, result_ = 0;
};

void perform(const Copy& copy) {
  if (copy.valid)
    std::memcpy(copy.to, copy.from, 16);
  else
    std::memset(copy.to, 0, 16);
}

}  // namespace

void run_grid(dim3 grid, int threads, std::size_t shared_bytes, const std::function<void()>& body) {
  if (threads % kWarp != 0 || threads > 1024) throw std::logic_error("a block is of whole warps, at most 32");
  Block block(threads, shared_bytes, body);
  gridDim = grid;
  blockDim = dim3(unsigned(threads));
  bool backwards = false;
  for (unsigned z = 0; z < grid.z; ++z)
    for (unsigned y = 0; y < grid.y; ++y)
      for (unsigned x = 0; x < grid.x; ++x) {
        blockIdx = dim3(x, y, z);
        block.run(backwards = !backwards);
      }
}

unsigned char* dynamic_shared() { return current->shared(); }
void show(const void* value, std::size_t bytes) { current->show(value, bytes); }
const unsigned char* slot(int lane) { return current->slot(lane); }
int lane() { return current->lane(); }

// Copies are done as late as they may be: a missing wait then shows.
void copy_async(void* to, const void* from, bool valid) {
  if (reinterpret_cast<std::uintptr_t>(to) % 16 != 0 || (valid && reinterpret_cast<std::uintptr_t>(from) % 16 != 0))
    throw std::logic_error("a copy of 16 bytes is not aligned");
  current->me().open.push_back({to, from, valid});
}
void copy_async_commit() { current->me().groups.push_back(std::exchange(current->me().open, {})); }
void copy_async_wait(int pending) {
  auto& groups = current->me().groups;
  for (; int(groups.size()) > pending; groups.pop_front())
    for (const Copy& copy : groups.front()) perform(copy);
}

}  // namespace expunge::cuda::emulator

using expunge::cuda::emulator::current;

void __syncthreads() { current->block_barrier(0); }
int __syncthreads_or(int predicate) {
  current->block_barrier(predicate != 0);
  return current->vote_result();
}
void __syncwarp() { current->warp_barrier(); }
unsigned __ballot_sync(unsigned, int predicate) {
  const int mine = predicate != 0;
  expunge::cuda::emulator::show(&mine, sizeof(mine));
  unsigned result = 0;
  for (int lane = 0; lane < 32; ++lane) result |= unsigned(*reinterpret_cast<const int*>(current->slot(lane)) != 0) << lane;
  return result;
}
