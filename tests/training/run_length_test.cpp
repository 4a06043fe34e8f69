// How many optimizer steps a run has and what each takes, against counting them one by one; and the limit of their number.
#include "training/run_length.h"

#include <gmock/gmock.h>

#include <cmath>
#include <limits>

#include "model/token_batch.h"
#include "run/options.h"
#include "support/temporary_folder.h"

namespace expunge {
namespace {

using testing::HasSubstr;

RunOptions config_of(std::int64_t global_batch) {
  RunOptions config;
  config.batch.global = global_batch;
  return config;
}

RunOptions released(std::int64_t accumulation, std::int64_t micro_batch) {
  RunOptions config = config_of(accumulation * micro_batch);
  config.released = true;
  config.batch.accumulation = accumulation;
  return config;
}

/// The rule of transformers 4.36, micro-batch by micro-batch: where each step ends.
std::vector<std::int64_t> counted_ends(std::int64_t rounds, std::int64_t accumulation, std::size_t steps) {
  std::vector<std::int64_t> ends;
  for (std::int64_t micro = 1; ends.size() < steps; ++micro)
    if (micro % accumulation == 0 || (rounds <= accumulation && micro % rounds == 0)) ends.push_back(micro);
  return ends;
}

TEST(RunLength, ReleasedStepsEndWhereCountingSays) {
  for (std::int64_t rounds = 1; rounds <= 13; ++rounds)
    for (std::int64_t accumulation = 1; accumulation <= 13; ++accumulation) {
      RunOptions config = released(accumulation, 3);
      config.schedule.max_steps = 60;
      const RunLength length(config.schedule, config.batch, config.released, static_cast<std::size_t>(3 * rounds));
      const std::vector<std::int64_t> ends = counted_ends(rounds, accumulation, 60);
      EXPECT_EQ(length.samples_after(0), 0);
      for (std::size_t n = 1; n <= ends.size(); ++n)
        ASSERT_EQ(length.samples_after(static_cast<std::int64_t>(n)), 3 * ends[n - 1])
            << rounds << " rounds, accumulation " << accumulation << ", step " << n;
      EXPECT_EQ(length.samples, 3 * ends.back());
    }
}

TEST(RunLength, ABillionStepsAreCountedWithoutGoingThroughThem) {
  RunOptions config = released(7, 2);  // 8 items make 4 rounds: steps end at 4, 7, 8, 12, 14, 16, 20, 21, 24, 28
  config.schedule.max_steps = kMostSteps;
  const RunLength length(config.schedule, config.batch, config.released, 8);
  EXPECT_EQ(length.steps, kMostSteps);
  EXPECT_EQ(length.samples, kMostSteps / 10 * 28 * 2);
  EXPECT_EQ(length.samples_after(kMostSteps - 1), (kMostSteps / 10 * 28 - 4) * 2);
}

TEST(RunLength, HasOneLimitHoweverItIsSaid) {
  for (const bool study : {false, true}) {
    RunOptions config = study ? released(4, 1) : config_of(4);
    config.schedule.num_train_epochs = 1e9;
    EXPECT_EQ(RunLength(config.schedule, config.batch, config.released, 4).steps, kMostSteps);
    for (const double epochs : {1.1e9, 1e18, 1e300, std::numeric_limits<double>::max()}) {
      config.schedule.num_train_epochs = epochs;
      EXPECT_THAT(error_of(ExitCode::usage, [&] { RunLength(config.schedule, config.batch, config.released, 4); }),
                  testing::AllOf(HasSubstr(fmt::format("--num-train-epochs {}: epochs over 4 sequences, 4 per step", epochs)),
                                 HasSubstr("a run takes at most 1000000000; lower it, or give --max-steps")));
    }
    config.schedule.num_train_epochs = std::numeric_limits<double>::denorm_min();
    EXPECT_EQ(RunLength(config.schedule, config.batch, config.released, 4).steps, 1);
    config.schedule.num_train_epochs = 1e18;
    config.schedule.max_steps = kMostSteps;
    EXPECT_EQ(RunLength(config.schedule, config.batch, config.released, 4).steps, kMostSteps);
  }
}

TEST(RunLength, TheLargestStepsAndTheMostOfThemFit64Bits) {
  RunOptions config = config_of(kLargestGlobalBatch);
  config.schedule.max_steps = kMostSteps;
  const RunLength length(config.schedule, config.batch, config.released, 3);
  EXPECT_EQ(length.samples, kMostSteps * kLargestGlobalBatch);
  EXPECT_EQ(length.samples_after(kMostSteps), length.samples);
  EXPECT_EQ(length.places(), length.samples);
}

TEST(GlobalBatch, IsLimited) {
  EXPECT_EQ(sequences_of_step(8, 2, 4), 64);
  EXPECT_EQ(sequences_of_step(1 << 12, 1 << 12, 1), kLargestGlobalBatch);
  EXPECT_EQ(sequences_of_step(1 << 12, 1 << 12, 2), std::nullopt);
  EXPECT_EQ(sequences_of_step(1'000'000'000, 1'000'000'000, 1'000'000'000), std::nullopt);
  EXPECT_THAT(
      error_of(ExitCode::usage, [] { checked_sequences_of_step(2, 1'000'000'000, 3); }),
      HasSubstr("2 ranks x --per-device-train-batch-size 1000000000 x --gradient-accumulation-steps 3 exceeds 16777216"));
  check_global_batch(kLargestGlobalBatch);
  EXPECT_THAT(error_of(ExitCode::usage, [] { check_global_batch(kLargestGlobalBatch + 1); }),
              HasSubstr("--global-batch-size 16777217 exceeds 16777216"));
}

TEST(LargestMicroBatch, IsNoLargerThanAStep) {
  EXPECT_EQ(largest_micro_batch({.per_device = 3, .global = 8, .micro_batch_tokens = 0}, 100), 300);
  EXPECT_EQ(largest_micro_batch({.per_device = 1'000'000'000, .global = 8, .micro_batch_tokens = 0}, 100), 800);
  EXPECT_EQ(largest_micro_batch({.per_device = 1, .global = 8, .micro_batch_tokens = 512}, 100), 512);
  EXPECT_EQ(largest_micro_batch({.per_device = 1, .global = 8, .micro_batch_tokens = 50}, 100), 100)
      << "a longer sequence is a micro-batch by itself";
  EXPECT_EQ(largest_micro_batch({.per_device = 1, .global = 8, .micro_batch_tokens = 1'000'000'000}, 100), 800);
  EXPECT_EQ(
      largest_micro_batch({.per_device = kLargestGlobalBatch, .global = kLargestGlobalBatch, .micro_batch_tokens = 0}, 64),
      kMostBatchTokens);
  EXPECT_THAT(error_of(ExitCode::usage,
                       [] {
                         largest_micro_batch(
                             {.per_device = kLargestGlobalBatch, .global = kLargestGlobalBatch, .micro_batch_tokens = 0}, 65);
                       }),
              HasSubstr("--per-device-train-batch-size 16777216 makes micro-batches of up to 1090519040 tokens"));
  EXPECT_THAT(
      error_of(ExitCode::usage,
               [] { largest_micro_batch({.per_device = 1, .global = 8, .micro_batch_tokens = 2'000'000'000}, 1'000'000'000); }),
      HasSubstr("--micro-batch-tokens 2000000000 makes micro-batches of up to 2000000000 tokens"));
}

}  // namespace
}  // namespace expunge
