// The memory pool and streams.
#include "expunge/device.h"

#include <gtest/gtest.h>

#include <vector>

namespace expunge {
namespace {

TEST(Pool, ReusesFreedBlocksAndCountsThem) {
  const std::size_t before = pool_use({}).now;
  constexpr std::size_t kBytes = std::size_t{5} << 20;
  void* first = nullptr;
  {
    Buffer<char> buffer({}, kBytes);
    first = buffer.data();
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(first) % 128, 0u);
    EXPECT_GE(pool_use({}).now - before, kBytes);
  }
  EXPECT_EQ(pool_use({}).now, before);
  EXPECT_EQ(Buffer<char>({}, kBytes - 1000).data(), first) << "a block a little larger serves";
  EXPECT_NE(Buffer<char>({}, kBytes / 2).data(), first) << "a block twice as large does not";
}

TEST(Stream, ThreadStreamKeepsOrderAndWaitsForEvents) {
  const auto a = make_thread_stream(), b = make_thread_stream();
  std::vector<int> order;
  a->enqueue([&] { order.push_back(1); });
  b->wait(a->record());
  b->enqueue([&] { order.push_back(2); });
  a->wait(b->record());
  a->enqueue([&] { order.push_back(3); });
  a->synchronize();
  EXPECT_EQ(order, (std::vector{1, 2, 3}));
}

}  // namespace
}  // namespace expunge
