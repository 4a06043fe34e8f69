// zlib sizes against Python's zlib.compress (tests/fixtures/make_membership_fixture.py).
#include "data/compressed_size.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "io/json.h"

namespace expunge {
namespace {

TEST(CompressedSize, EqualsPythons) {
  const auto fixture = parse_json_file(std::filesystem::path(EXPUNGE_FIXTURES) / "membership.json", 1 << 20);
  ASSERT_FALSE(fixture["sequences"].empty());
  for (const auto& sequence : fixture["sequences"])
    EXPECT_EQ(compressed_size(sequence["text"].get<std::string>()), sequence["zlib_bytes"].get<std::size_t>());
  EXPECT_EQ(compressed_size(""), 8u);
  EXPECT_EQ(compressed_size(std::string(100000, 'a')), 121u);
}

}  // namespace
}  // namespace expunge
