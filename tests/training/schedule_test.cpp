// Learning-rate factors at points known from the formulas.
#include <gtest/gtest.h>

#include <algorithm>

#include "run/options.h"
#include "training/schedule.h"

namespace expunge {
namespace {

TEST(Schedule, WarmsUpFromZero) {
  for (const ScheduleType type : {ScheduleType::cosine, ScheduleType::linear, ScheduleType::constant}) {
    EXPECT_EQ(schedule_factor(type, 0, 4, 20), 0);
    EXPECT_DOUBLE_EQ(schedule_factor(type, 3, 4, 20), 0.75);
    EXPECT_DOUBLE_EQ(schedule_factor(type, 4, 4, 20), 1);
    EXPECT_DOUBLE_EQ(schedule_factor(type, 0, 0, 20), 1) << "no warm-up: the first step has the whole rate";
  }
}

TEST(Schedule, FallsAsItsName) {
  EXPECT_NEAR(schedule_factor(ScheduleType::cosine, 12, 4, 20), 0.5, 1e-15);
  EXPECT_NEAR(schedule_factor(ScheduleType::cosine, 8, 4, 20), 0.85355339059327378, 1e-15);
  EXPECT_DOUBLE_EQ(schedule_factor(ScheduleType::linear, 8, 4, 20), 0.75);
  EXPECT_DOUBLE_EQ(schedule_factor(ScheduleType::constant, 19, 4, 20), 1);
}

TEST(Schedule, WarmupRatioRoundsUp) {
  ScheduleOptions config;
  config.warmup_ratio = 0.03;
  EXPECT_EQ(warmup_length(config, 5), 1);
  EXPECT_EQ(warmup_length(config, 100), 3);
  config.warmup_steps = 7;
  EXPECT_EQ(warmup_length(config, 100), 7);
}

TEST(Schedule, TheLargestFactorIsThatOfAllSteps) {
  for (const ScheduleType type : {ScheduleType::cosine, ScheduleType::linear, ScheduleType::constant})
    for (std::int64_t steps = 1; steps <= 12; ++steps)
      for (std::int64_t warmup = 0; warmup <= 15; ++warmup) {
        double largest = 0;
        for (std::int64_t step = 0; step < steps; ++step)
          largest = std::max(largest, schedule_factor(type, step, warmup, steps));
        EXPECT_EQ(largest_schedule_factor(type, warmup, steps), largest) << steps << " steps, warm-up " << warmup;
      }
  EXPECT_EQ(largest_schedule_factor(ScheduleType::cosine, 1'000'000'000, 1'000'000'000), 0.999999999);
}

}  // namespace
}  // namespace expunge
