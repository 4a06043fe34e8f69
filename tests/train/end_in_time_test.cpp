// When a run ends before its time: signals with their grace, and the time limit.
#include "train/end_in_time.h"

#include <gtest/gtest.h>

#include <csignal>

#include "expunge/core/interrupt.h"
#include "expunge/core/process.h"

namespace expunge {
namespace {

TEST(EndInTime, ASignalLeavesTheStepItsGrace) {
  const InterruptSignals signals;
  TrainConfig config;
  config.grace_seconds = 20;
  const EndInTime end(config, 0);
  EXPECT_EQ(end.within_step(1000), 0);
  EXPECT_EQ(end.between_steps(1000), 0);
  raise(SIGUSR1);
  EXPECT_EQ(end.within_step(1), SIGUSR1);
  EXPECT_FALSE(EndInTime::at_once(end.within_step(19)));
  EXPECT_TRUE(EndInTime::at_once(end.within_step(21)));
  EXPECT_EQ(EndInTime::reason(end.within_step(21)), "SIGUSR1 came");
  EXPECT_EQ(end.between_steps(1000), SIGUSR1);
  raise(SIGTERM);  // within the second: the same request
  EXPECT_EQ(end.within_step(1), SIGUSR1);
}

TEST(EndInTime, TheTimeLimitLeavesRoomForACheckpoint) {
  const InterruptSignals signals;
  TrainConfig config;
  config.max_walltime = seconds_running() + 100;
  EndInTime end(config, 10'000'000'000);  // 20 s on a common disk
  EXPECT_EQ(end.between_steps(60), 0);
  EXPECT_EQ(EndInTime::reason(end.between_steps(75)), "--max-walltime is near");
  EXPECT_EQ(end.within_step(75), 0) << "a step may turn out shorter";
  end.checkpoint_took(2);
  EXPECT_EQ(end.between_steps(75), 0);
  end.checkpoint_took(50);
  EXPECT_NE(end.between_steps(60), 0);
  end.checkpoint_took(99);
  EXPECT_TRUE(EndInTime::at_once(end.within_step(0)));
}

}  // namespace
}  // namespace expunge
