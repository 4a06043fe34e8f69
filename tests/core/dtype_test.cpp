// bfloat16 rounding and the names of element types.
#include "expunge/dtype.h"

#include <gtest/gtest.h>

#include <cmath>

#include "expunge/error.h"

namespace expunge {
namespace {

TEST(Bf16, RoundsToNearestEven) {
  EXPECT_EQ(bf16(1.0f).bits, 0x3f80);
  EXPECT_EQ(bf16(std::bit_cast<float>(0x3f808000u)).bits, 0x3f80) << "a tie goes to the even neighbour below";
  EXPECT_EQ(bf16(std::bit_cast<float>(0x3f818000u)).bits, 0x3f82) << "a tie goes to the even neighbour above";
  EXPECT_EQ(bf16(std::bit_cast<float>(0x3f808001u)).bits, 0x3f81);
  EXPECT_TRUE(std::isnan(static_cast<float>(bf16(std::bit_cast<float>(0x7f800001u))))) << "a NaN does not become infinity";
  EXPECT_TRUE(std::isinf(static_cast<float>(bf16(3.4e38f))));
}

TEST(DType, NamesRoundTrip) {
  EXPECT_EQ(parse_dtype("bfloat16"), DType::bfloat16);
  EXPECT_THROW(parse_dtype("half"), Error);
}

}  // namespace
}  // namespace expunge
