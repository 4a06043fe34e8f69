// The choice among instruction sets.
#include "kernels/cpu/levels.h"

#include <cstdlib>

#include "core/processor.h"
#include "testing.h"

namespace expunge::testing {
namespace {

TEST(Levels, AreTheProcessorsBestUnlessOneDnnIsHeldToLess) {
#if !defined(__x86_64__)
  GTEST_SKIP() << "only x86-64 has several";
#endif
  const bool held = std::getenv("ONEDNN_MAX_CPU_ISA") != nullptr;  // to AVX2, by one CTest entry
  EXPECT_EQ(expunge::cpu::level().name, has_avx512() && !held ? "AVX-512" : "AVX2");
  EXPECT_THAT(cpu_kernels(), ::testing::StartsWith(std::string(expunge::cpu::level().name) + ", oneDNN avx"));
}

}  // namespace
}  // namespace expunge::testing
