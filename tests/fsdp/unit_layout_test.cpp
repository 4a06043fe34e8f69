// Places and slices of a unit's parameters.
#include <gtest/gtest.h>

#include "fsdp/unit_layout.h"

namespace expunge {
namespace {

UnitLayout layout(int world) {
  UnitLayout unit("unit", world);
  unit.add({{"norm", {20}}});
  unit.add({{"q", {3, 20}}, {"k", {1, 20}}});
  unit.add({{"down", {20, 13}}});
  return unit;
}

TEST(UnitLayout, GroupsStartAlignedAndHaveNoGaps) {
  const UnitLayout unit = layout(3);
  const auto& views = unit.views();
  EXPECT_EQ(views[0].offset, 0u);
  EXPECT_EQ(views[1].offset, 64u);
  EXPECT_EQ(views[2].offset, 64u + 60u) << "one matrix with q";
  EXPECT_EQ(views[3].offset, 192u);
  EXPECT_FALSE(views[0].decays);
  EXPECT_TRUE(views[1].decays);
}

TEST(UnitLayout, SlicesOfAllRanksCoverEachParameterOnce) {
  for (int world = 1; world <= 5; ++world) {
    const UnitLayout unit = layout(world);
    EXPECT_EQ(unit.shard_size() % UnitLayout::kAlignment, 0u);
    std::vector<std::size_t> next(unit.views().size());
    for (int rank = 0; rank < world; ++rank) {
      for (const ParameterSlice& slice : unit.slices(rank)) {
        const auto v = static_cast<std::size_t>(slice.view - unit.views().data());
        EXPECT_EQ(slice.first, next[v]) << "slices follow one another";
        EXPECT_EQ(slice.view->offset + slice.first, static_cast<std::size_t>(rank) * unit.shard_size() + slice.offset);
        next[v] += slice.count;
      }
    }
    for (std::size_t v = 0; v < next.size(); ++v) EXPECT_EQ(next[v], unit.views()[v].size);
  }
}

}  // namespace
}  // namespace expunge
