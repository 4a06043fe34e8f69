// Options of expunge plan, and of ranks on GPUs.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cli/values.h"
#include "command_lines.h"
#include "plan/options.h"

namespace expunge {
namespace {

using testing::HasSubstr;

PlanConfig plan(const std::string& more) {
  PlanConfig config;
  parse_into(config, plan_options, words("--model m --world 8 " + more));
  return config;
}

TEST(MemorySize, IsANumberWithAUnit) {
  EXPECT_EQ(parse_memory_size("80"), 80e9);
  EXPECT_EQ(parse_memory_size("80GB"), 80e9);
  EXPECT_EQ(parse_memory_size("80G"), 80e9);
  EXPECT_EQ(parse_memory_size("1.5T"), 1.5e12);
  EXPECT_EQ(parse_memory_size("512M"), 512e6);
  EXPECT_EQ(parse_memory_size("65536"), 65536e9);
  EXPECT_EQ(parse_memory_size("1.5GiB"), 1.5 * (1 << 30));
  EXPECT_EQ(parse_memory_size("512MiB"), 512.0 * (1 << 20));
  for (const char* bad : {"", "GB", "65537", "80000", "80 GB", "-1GB", "0", "1e400GB", "80gb", "nanGB"})
    EXPECT_EQ(parse_memory_size(bad), std::nullopt) << bad;
}

TEST(PlanOptions, NeedTheMemoryOfTheDevice) {
  EXPECT_EQ(plan("--gpu-memory 80GB").gpu_memory, 80e9);
  EXPECT_EQ(plan("--gpu-memory 80GB").compute.device, "cuda");
  EXPECT_EQ(plan("--device cpu --memory-per-rank 4GiB").memory_per_rank, 4.0 * (1u << 30));
  EXPECT_EQ(plan("--gpu-memory 80GB").compute.dtype, DType::bfloat16);
  EXPECT_EQ(plan("--gpu-memory 80GB --dtype float32").compute.dtype, DType::float32);
  EXPECT_THAT(refusal([] { (void)plan(""); }), HasSubstr("needs --gpu-memory SIZE"));
  EXPECT_THAT(refusal([] { (void)plan("--device cpu --gpu-memory 80GB"); }), HasSubstr("needs --memory-per-rank SIZE"));
  EXPECT_THAT(refusal([] { (void)plan("--gpu-memory lots"); }), HasSubstr("a size such as 80GB"));
  EXPECT_THAT(refusal([] { (void)plan("--gpu-memory 80 --tflops 5 --measured-run r"); }), HasSubstr("both give the rate"));
}

TEST(PlanOptions, NumbersHaveLimits) {
  for (const char* rate : {"tflops", "memory-bandwidth", "node-gbps", "network-gbps"})
    for (const char* value : {"0", "1e-7", "1.1e9", "1e308"})
      EXPECT_THAT(refusal([&] { (void)plan(fmt::format("--gpu-memory 80GB --{} {}", rate, value)); }),
                  HasSubstr(fmt::format("--{}: expected a number from 1e-6 to 1e9", rate)));
  EXPECT_THAT(refusal([] { (void)plan("--gpu-memory 80GB --max-steps 1000000001"); }),
              HasSubstr("--max-steps: expected a whole number from 1 to 1000000000"));
  EXPECT_THAT(refusal([] { (void)plan("--gpu-memory 80GB --global-batch-size 16777217"); }),
              HasSubstr("--global-batch-size 16777217 exceeds 16777216"));
  PlanConfig config;
  EXPECT_THAT(refusal([&] { parse_into(config, plan_options, words("--model m --world 65537 --gpu-memory 80GB")); }),
              HasSubstr("--world: expected a whole number from 1 to 65536"));
}

TEST(CommOption, IsForRanksOnGpus) {
  EXPECT_EQ(unlearn("--device cuda --comm staged").compute.comm, CommPolicy::staged);
  EXPECT_THAT(refusal([] { (void)unlearn("--device cpu --comm nccl"); }), HasSubstr("--comm is for ranks on GPUs"));
}

}  // namespace
}  // namespace expunge
