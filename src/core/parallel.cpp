// The team of threads behind shared loops. An OpenMP team spins at the end of a loop until its slowest thread is done.
// Where threads are preempted, that spinning takes the time of threads that could work.
#include "core/parallel.h"

#include <fmt/format.h>
#include <linux/futex.h>
#include <sched.h>
#include <strings.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <exception>
#include <memory>
#include <mutex>
#include <system_error>
#include <thread>
#include <vector>

#include "core/log.h"

#if defined(_OPENMP)
#include <omp.h>
#endif

namespace expunge {
namespace {

using Clock = std::chrono::steady_clock;

/// How long a waiting thread spins: the length of a short loop, far less than a preempted thread loses.
Clock::duration awake_time() {
  static const Clock::duration time = [] {
    const char* const policy = std::getenv("OMP_WAIT_POLICY");
    if (policy && strcasecmp(policy, "passive") == 0) return Clock::duration::zero();
    if (policy && strcasecmp(policy, "active") == 0) return Clock::duration(std::chrono::hours(1));
    return Clock::duration(std::chrono::microseconds(100));
  }();
  return time;
}

void relax() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#endif
}

/// A number that threads can wait on. std::atomic::wait would call sched_yield(), which gives up the thread's time slice.
class alignas(64) Watched {
 public:
  std::uint32_t value() const { return value_; }
  void increment() { ++value_; }
  void set(std::uint32_t value) { value_ = value; }
  /// Returns the new value.
  std::uint32_t decrement() { return --value_; }
  /// Wakes at most `count` sleeping threads.
  void wake(std::size_t count) {
    if (asleep_ > 0) futex(FUTEX_WAKE_PRIVATE, static_cast<std::uint32_t>(count));
  }
  /// Waits until `reached(value())`: spins at first, then sleeps.
  template <typename Reached>
  void wait(Reached reached) {
    const auto began = Clock::now();
    do {
      for (int poll = 0; poll < 32; ++poll) {
        if (reached(value())) return;
        relax();
      }
    } while (Clock::now() - began < awake_time());
    ++asleep_;
    for (std::uint32_t seen = value(); !reached(seen); seen = value()) futex(FUTEX_WAIT_PRIVATE, seen);
    --asleep_;
  }

 private:
  void futex(int operation, std::uint32_t argument) { syscall(SYS_futex, &value_, operation, argument, nullptr, nullptr, 0); }

  std::atomic<std::uint32_t> value_ = 0;
  std::atomic<int> asleep_ = 0;
};

thread_local bool inside_loop = false;

/// Marks the calling thread as busy with a loop's pieces.
class InsideLoop {
 public:
  InsideLoop() { inside_loop = true; }
  ~InsideLoop() { inside_loop = false; }
  InsideLoop(const InsideLoop&) = delete;
  InsideLoop& operator=(const InsideLoop&) = delete;
};

struct Loop {
  std::size_t pieces;
  parallel::Order order;
  void (*call)(const void* body, std::size_t piece, int thread);
  const void* body;

  void run_alone() const {
    for (std::size_t piece = 0; piece < pieces; ++piece) call(body, piece, 0);
  }
};

/// The OpenMP place of a thread in a team whose thread 0 is at place `first`; -1 if threads are not bound.
int place_of(int thread, int threads, int first) {
#if defined(_OPENMP)
  const int places = omp_get_num_places();
  const omp_proc_bind_t bind = omp_get_proc_bind();
  if (places == 0 || first < 0 || bind == omp_proc_bind_false || bind == omp_proc_bind_master) return -1;
  const bool close = bind != omp_proc_bind_spread && threads <= places;
  return (first + (close ? thread : thread * places / threads)) % places;
#else
  (void)thread;
  (void)threads;
  (void)first;
  return -1;
#endif
}

/// A helper inherits the cores of the thread that starts it; OMP_PROC_BIND and OMP_PLACES may have bound that one.
void move_to(int place) {
#if defined(_OPENMP)
  if (place < 0) return;
  std::vector<int> processors(static_cast<std::size_t>(omp_get_place_num_procs(place)));
  omp_get_place_proc_ids(place, processors.data());
  cpu_set_t set;
  CPU_ZERO(&set);
  for (const int processor : processors) CPU_SET(static_cast<std::size_t>(processor), &set);
  sched_setaffinity(0, sizeof(set), &set);
#else
  (void)place;
#endif
}

int current_place() {
#if defined(_OPENMP)
  return omp_get_place_num();
#else
  return -1;
#endif
}

/// The thread that starts a loop, as number 0, and its helper threads.
class Team {
 public:
  /// Continues with fewer helpers if the system refuses to start one.
  explicit Team(int threads) : queues_(static_cast<std::size_t>(threads)) {
    const int first = current_place();
    try {
      for (int thread = 1; thread < threads; ++thread)
        helpers_.emplace_back([this, thread, place = place_of(thread, threads, first)] {
          move_to(place);
          help(thread);
        });
    } catch (const std::system_error& error) {
      log_warning(fmt::format("only {} of {} threads could be started ({}): check ulimit -u and the job's limits",
                              helpers_.size() + 1, threads, error.what()));
    }
  }
  ~Team() {
    stopping_ = true;
    begun_.increment();
    begun_.wake(helpers_.size());
    for (std::thread& helper : helpers_) helper.join();
  }
  Team(const Team&) = delete;
  Team& operator=(const Team&) = delete;
  int threads() const { return static_cast<int>(queues_.size()); }

  void run(const Loop& loop) {
    loop_ = loop;
    error_ = nullptr;
    unfinished_.set(static_cast<std::uint32_t>(loop.pieces));
    const std::size_t filled = loop.order == parallel::Order::next ? 1 : queues_.size();
    for (std::size_t i = 0; i < filled; ++i) queues_[i].fill(loop.pieces * i / filled, loop.pieces * (i + 1) / filled);
    begun_.increment();
    begun_.wake(std::min(loop.pieces - 1, helpers_.size()));
    take_pieces(0);
    unfinished_.wait([](std::uint32_t left) { return left == 0; });
    if (error_) std::rethrow_exception(error_);
  }

 private:
  /// The untaken pieces [first, end), in one word. A late thread finds none, or finds pieces of the next loop and helps
  /// there.
  class alignas(64) Queue {
   public:
    void fill(std::size_t first, std::size_t end) { left_ = first << 32 | end; }
    bool take(std::size_t& piece) {
      for (std::uint64_t left = left_; left >> 32 < (left & UINT32_MAX);) {
        if (!left_.compare_exchange_weak(left, left + (std::uint64_t{1} << 32))) continue;
        piece = left >> 32;
        return true;
      }
      return false;
    }

   private:
    std::atomic<std::uint64_t> left_ = 0;
  };

  void take_pieces(int thread) {
    const InsideLoop inside;
    for (std::size_t i = 0; i < queues_.size(); ++i) {
      Queue& queue = queues_[(static_cast<std::size_t>(thread) + i) % queues_.size()];
      for (std::size_t piece = 0; queue.take(piece);) {
        try {
          loop_.call(loop_.body, piece, thread);
        } catch (...) {
          const std::lock_guard lock(error_mutex_);
          error_ = std::current_exception();
        }
        if (unfinished_.decrement() == 0) unfinished_.wake(1);
      }
    }
  }

  void help(int thread) {
    for (std::uint32_t seen = 0; !stopping_;) {
      begun_.wait([seen](std::uint32_t begun) { return begun != seen; });
      seen = begun_.value();
      take_pieces(thread);
    }
  }

  std::vector<Queue> queues_;   // one per thread
  Watched begun_, unfinished_;  // number of loops so far; pieces of this loop
  Loop loop_{};
  std::mutex error_mutex_;
  std::exception_ptr error_;
  std::atomic<bool> stopping_ = false;
  std::vector<std::thread> helpers_;  // last member: the helpers use everything above
};

}  // namespace

int loop_threads() {
#if defined(_OPENMP)
  return inside_loop ? 1 : omp_get_max_threads();
#else
  return 1;
#endif
}

void parallel::run_pieces(std::size_t pieces, Order order, void (*call)(const void*, std::size_t, int), const void* body) {
  static std::mutex one_loop;
  static std::unique_ptr<Team>& team = *new std::unique_ptr<Team>;  // never destroyed: helpers sleep until the process ends
  const Loop loop{pieces, order, call, body};
  const int threads = loop_threads();
  if (pieces <= 1 || threads == 1) return loop.run_alone();
  const std::unique_lock lock(one_loop, std::try_to_lock);
  if (!lock) {
    const InsideLoop inside;  // bodies divide their work as in a team
    return loop.run_alone();
  }
  if (!team || team->threads() != threads) {
    team.reset();  // joins the old helpers before new ones start
    team = std::make_unique<Team>(threads);
  }
  team->run(loop);
}

}  // namespace expunge
