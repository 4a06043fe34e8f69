// When a run ends before its time: signals with their grace, and the time limit.
#include "training/deadline.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cmath>
#include <csignal>
#include <thread>
#include <vector>

#include "core/interrupt.h"
#include "core/process.h"
#include "expunge/kernels.h"
#include "run/options.h"

namespace expunge {
namespace {

/// As another process sends it; it is noted in a thread of its own.
void signal_this_process(int number) {
  kill(getpid(), number);
  for (int i = 0; i < 1000 && InterruptSignals::received() == 0; ++i) std::this_thread::sleep_for(std::chrono::milliseconds(1));
}

TEST(Deadline, ASignalLeavesTheStepItsGrace) {
  const InterruptSignals signals;
  DeadlineOptions config;
  config.grace_seconds = 20;
  const Deadline end(config, 0);
  EXPECT_FALSE(end.within_step(1000));
  EXPECT_FALSE(end.between_steps(1000));
  signal_this_process(SIGUSR1);
  EXPECT_EQ(end.within_step(1).reason, SIGUSR1);
  EXPECT_FALSE(end.within_step(19).at_once);
  EXPECT_TRUE(end.within_step(21).at_once);
  EXPECT_EQ(end.within_step(21).text(), "SIGUSR1 came");
  EXPECT_EQ(end.between_steps(1000).reason, SIGUSR1);
  signal_this_process(SIGTERM);  // within the second: the same request
  EXPECT_EQ(end.within_step(1).reason, SIGUSR1);
}

// oneDNN's long products on AVX2 let the stack pointer point into the heap, where a handler's frame would fall on other data.
TEST(Deadline, SignalsDoNotTouchProducts) {
  const InterruptSignals signals;
  constexpr int kTokens = 512, kIn = 128, kOut = 1536;
  const auto stream = make_inline_stream();
  Buffer<float> dx(Device{}, kTokens * kIn), dy(Device{}, kTokens * kOut), w(Device{}, kOut * kIn);
  for (std::size_t i = 0; i < dy.size(); ++i) dy.data()[i] = std::sin(static_cast<float>(i));
  for (std::size_t i = 0; i < w.size(); ++i) w.data()[i] = std::cos(static_cast<float>(i));
  const auto product = [&] {
    kernels<float>(Device{}).linear_backward(*stream, dx.data(), nullptr, dy.data(), nullptr, w.data(), kTokens, kIn, kOut,
                                             Write::set);
    return std::vector(dx.data(), dx.data() + dx.size());
  };
  const std::vector<float> quiet = product();
  const pid_t parent = getpid(), sender = fork();
  if (sender == 0) {
    while (kill(parent, SIGUSR1) == 0) usleep(100);
    _exit(0);
  }
  // Within the second in which all deliveries are one request.
  const auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds(500);
  while (std::chrono::steady_clock::now() < end) EXPECT_EQ(product(), quiet);
  kill(sender, SIGKILL);
  waitpid(sender, nullptr, 0);
}

TEST(Deadline, TheTimeLimitLeavesRoomForACheckpoint) {
  const InterruptSignals signals;
  DeadlineOptions config;
  config.max_walltime = seconds_running() + 100;
  Deadline end(config, 10'000'000'000);  // 20 s on a common disk
  EXPECT_FALSE(end.between_steps(60));
  EXPECT_EQ(end.between_steps(75).text(), "--max-walltime is near");
  EXPECT_FALSE(end.within_step(75)) << "a step may turn out shorter";
  end.checkpoint_took(2);
  EXPECT_FALSE(end.between_steps(75));
  end.checkpoint_took(50);
  EXPECT_TRUE(end.between_steps(60));
  end.checkpoint_took(99);
  EXPECT_TRUE(end.within_step(0).at_once);
}

}  // namespace
}  // namespace expunge
