// Signals that ask a run to end: when the second one has its default effect.
#include "core/interrupt.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstdlib>
#include <thread>

namespace expunge {
namespace {

constexpr int kInterrupted = 75;

// A run that is interrupted, ends in order, and is signalled again on its way out.
[[noreturn]] void signalled_again_after(std::chrono::milliseconds pause) {
  {
    const InterruptSignals signals;
    raise(SIGTERM);
  }
  std::this_thread::sleep_for(pause);
  raise(SIGTERM);
  std::exit(kInterrupted);
}

TEST(InterruptSignalsDeathTest, TheSecondDeliveryOfARequestDoesNotKillARunThatHasEnded) {
  EXPECT_EXIT(signalled_again_after(std::chrono::milliseconds(0)), testing::ExitedWithCode(kInterrupted), "");
}

TEST(InterruptSignalsDeathTest, ALaterSignalEndsTheProcessAtOnce) {
  EXPECT_EXIT(signalled_again_after(std::chrono::milliseconds(1100)), testing::KilledBySignal(SIGTERM), "");
}

TEST(InterruptSignalsDeathTest, ADeliveryAfterTheEndThatAnotherProcessWasAskedForDoesNotKill) {
  EXPECT_EXIT(
      {
        {
          const InterruptSignals signals;
          InterruptSignals::received_elsewhere();
        }
        raise(SIGTERM);
        std::exit(kInterrupted);
      },
      testing::ExitedWithCode(kInterrupted), "");
}

TEST(InterruptSignalsDeathTest, AHangUpIsARequest) {
  EXPECT_EXIT(
      {
        const InterruptSignals signals;
        kill(getpid(), SIGHUP);  // not to this thread, which blocks it
        for (int i = 0; i < 1000 && InterruptSignals::received() == 0; ++i)
          std::this_thread::sleep_for(std::chrono::milliseconds(1));
        std::exit(signal_name(InterruptSignals::received()) == "SIGHUP" ? kInterrupted : 1);
      },
      testing::ExitedWithCode(kInterrupted), "");
}

/// nohup, and a shell that starts a job in the background, ignore a signal for what they start.
TEST(InterruptSignalsDeathTest, WhatWasIgnoredAtTheStartStaysIgnored) {
  for (const int number : {SIGHUP, SIGINT})
    EXPECT_EXIT(
        {
          std::signal(number, SIG_IGN);
          {
            const InterruptSignals signals;
            kill(getpid(), number);
            std::this_thread::sleep_for(std::chrono::milliseconds(20));
            if (InterruptSignals::received() != 0) std::exit(1);
          }
          raise(number);  // nor does the end of the run bring a default back
          std::exit(kInterrupted);
        },
        testing::ExitedWithCode(kInterrupted), "");
}

TEST(InterruptSignalsDeathTest, WithoutARequestTheDefaultsComeBack) {
  EXPECT_EXIT(
      {
        { const InterruptSignals signals; }
        raise(SIGTERM);
      },
      testing::KilledBySignal(SIGTERM), "");
}

}  // namespace
}  // namespace expunge
