// The tables: complete for every element type, and refused for a back end that this build lacks.
#include <cstring>

#include "expunge/error.h"
#include "testing.h"

namespace expunge::testing {
namespace {

template <Element T>
class Table : public ::testing::Test {};
using TableTypes = ::testing::Types<float, bf16, double, Complex>;
TYPED_TEST_SUITE(Table, TableTypes);

/// A compiler may accept a table that lacks a kernel.
TYPED_TEST(Table, HasEveryKernel) {
  const Kernels<TypeParam>& kernels_of_type = table<TypeParam>();
  std::vector<std::uintptr_t> members(sizeof(kernels_of_type) / sizeof(std::uintptr_t));
  ASSERT_EQ(members.size() * sizeof(std::uintptr_t), sizeof(kernels_of_type));
  std::memcpy(members.data(), &kernels_of_type, sizeof(kernels_of_type));
  for (std::size_t i = 0; i < members.size(); ++i) EXPECT_NE(members[i], 0u) << "kernel " << i;
}

TEST(BackEnd, MissingOneIsAUsageError) {
  if (cuda_devices().problem.find("no CUDA back end") == std::string::npos) GTEST_SKIP() << "this build has the CUDA back end";
  try {
    kernels<float>(Device{DeviceType::cuda, 0});
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::usage);
    EXPECT_THAT(error.what(), ::testing::HasSubstr("--device cpu"));
  }
}

}  // namespace
}  // namespace expunge::testing
