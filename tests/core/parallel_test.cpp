// Shared loops: every piece is done once, whoever does it; errors come out; waiting threads sleep.
#include "core/parallel.h"

#include <gtest/gtest.h>
#include <omp.h>
#include <time.h>

#include <atomic>
#include <chrono>
#include <numeric>
#include <set>
#include <stdexcept>
#include <thread>
#include <vector>

namespace expunge {
namespace {

/// Sets the number of threads for as long as it lives.
class Threads {
 public:
  explicit Threads(int count) : before_(omp_get_max_threads()) { omp_set_num_threads(count); }
  ~Threads() { omp_set_num_threads(before_); }
  Threads(const Threads&) = delete;
  Threads& operator=(const Threads&) = delete;

 private:
  int before_;
};

TEST(Parallel, DoesEveryPieceOnce) {
  for (const int threads : {1, 2, 5, 2}) {
    const Threads set(threads);
    for (int repeat = 0; repeat < 200; ++repeat)
      for (const std::size_t n : {0, 1, 2, 7, 1000}) {
        std::vector<std::atomic<int>> done(n);
        parallel_tasks(n, [&](std::size_t task, int thread) {
          ASSERT_GE(thread, 0);
          ASSERT_LT(thread, threads);
          ++done[task];
        });
        parallel_for(n, 1 << 20, [&](std::size_t i) { ++done[i]; });
        for (const auto& count : done) ASSERT_EQ(count, 2);
      }
  }
}

TEST(Parallel, RangesDependOnTheNumberOfThreadsAlone) {
  const Threads set(3);
  const auto ranges = [](std::size_t n, std::size_t grain) {
    std::mutex mutex;
    std::set<std::pair<std::size_t, std::size_t>> made;
    parallel_ranges(n, grain, [&](std::size_t begin, std::size_t end) {
      const std::lock_guard lock(mutex);
      made.insert({begin, end});
    });
    return made;
  };
  for (const std::size_t n : {1, 63, 64, 65, 1000, 12345}) {
    const auto made = ranges(n, 64);
    EXPECT_LE(made.size(), 12u);
    std::size_t reached = 0;
    for (const auto& [begin, end] : made) {
      EXPECT_EQ(begin, reached);
      EXPECT_EQ(begin % 64, 0u);
      reached = end;
    }
    EXPECT_EQ(reached, n);
    for (int repeat = 0; repeat < 20; ++repeat) EXPECT_EQ(ranges(n, 64), made);
  }
}

TEST(Parallel, ALoopInALoopStaysInItsThread) {
  const Threads set(4);
  EXPECT_EQ(loop_threads(), 4);
  std::atomic<int> done = 0;
  parallel_tasks(8, [&](std::size_t, int) {
    EXPECT_EQ(loop_threads(), 1);
    const auto mine = std::this_thread::get_id();
    parallel_tasks(10, [&](std::size_t, int thread) {
      EXPECT_EQ(thread, 0);
      EXPECT_EQ(std::this_thread::get_id(), mine);
      ++done;
    });
  });
  EXPECT_EQ(done, 80);
  EXPECT_EQ(loop_threads(), 4);
}

TEST(Parallel, RethrowsWhatAPieceThrew) {
  for (const int threads : {1, 3}) {
    const Threads set(threads);
    for (const std::size_t bad : {0, 17, 99})
      EXPECT_THROW(parallel_tasks(100,
                                  [&](std::size_t task, int) {
                                    if (task == bad) throw std::runtime_error("bad");
                                  }),
                   std::runtime_error);
    std::atomic<int> done = 0;
    parallel_tasks(100, [&](std::size_t, int) { ++done; });
    EXPECT_EQ(done, 100);
    EXPECT_EQ(loop_threads(), threads);
  }
}

TEST(Parallel, ThreadsMayBeginLoopsAtTheSameTime) {
  std::atomic<int> done = 0;
  std::vector<std::thread> callers;
  for (int caller = 0; caller < 3; ++caller)
    callers.emplace_back([&done, caller] {
      omp_set_num_threads(2 + caller % 2);
      for (int repeat = 0; repeat < 300; ++repeat) parallel_tasks(20, [&](std::size_t, int) { ++done; });
    });
  for (std::thread& caller : callers) caller.join();
  EXPECT_EQ(done, 3 * 300 * 20);
}

double processor_seconds() {
  timespec spent{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &spent);
  return double(spent.tv_sec) + 1e-9 * double(spent.tv_nsec);
}

TEST(Parallel, WaitingThreadsSleep) {
  const Threads set(4);
  const double began = processor_seconds();
  for (int loop = 0; loop < 20; ++loop) {
    // Three of the threads wait for the one piece that takes long, then all for the next loop.
    parallel_tasks(4, [](std::size_t task, int) {
      if (task == 0) std::this_thread::sleep_for(std::chrono::milliseconds(5));
    });
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  EXPECT_LT(processor_seconds() - began, 0.05) << "of 4 x 0.2 s";
}

}  // namespace
}  // namespace expunge
