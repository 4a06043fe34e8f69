// bfloat16 rounding, random numbers, text for messages, the memory pool and streams.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <set>
#include <vector>

#include "core/log.h"
#include "core/random.h"
#include "core/text.h"
#include "expunge/device.h"
#include "expunge/dtype.h"
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

TEST(Text, KnowsValidUtf8) {
  const std::string valid = "a\u00e9\u07ff\u0800\ud7ff\ue000\uffff\U00010000\U0010ffff";
  EXPECT_EQ(valid_utf8_length(valid), valid.size());
  for (const std::string bad : {"\x80", "\xc0\x80", "\xc1\xbf", "\xe0\x9f\xbf", "\xed\xa0\x80", "\xf0\x8f\xbf\xbf",
                                "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xe2\x82", "\xf0\x9f\x98", "\xe2\x28\xa1"}) {
    EXPECT_EQ(valid_utf8_length("ok" + bad), 2u) << testing::PrintToString(bad);
  }
}

TEST(Text, ExcerptsAreShortAndPrintable) {
  EXPECT_EQ(excerpt(""), "");
  EXPECT_EQ(excerpt("plain \u00e9 text", 100), "plain \u00e9 text");
  EXPECT_EQ(excerpt(std::string_view("a\0\x1b[2J\n\x7f\xff\u009b", 11)), "a\\x00\\x1b[2J\\x0a\\x7f\\xff\\xc2\\x9b");
  const std::string text = std::string(1000, 'a') + "HERE" + std::string(1000, 'b');
  EXPECT_EQ(excerpt(text, 1004), "..." + std::string(56, 'a') + "HERE" + std::string(20, 'b') + "...");
  EXPECT_EQ(excerpt(text), std::string(80, 'a') + "...");
  EXPECT_EQ(excerpt(text, text.size()), "..." + std::string(80, 'b'));
  std::string wide;
  for (int i = 0; i < 100; ++i) wide += "\u20ac";
  for (std::size_t place = 0; place <= wide.size(); ++place) {
    const std::string shown = excerpt(wide, place);
    EXPECT_EQ(shown.find('\\'), std::string::npos) << "a cut went through a character";
    EXPECT_EQ(valid_utf8_length(shown), shown.size());
  }
  EXPECT_EQ(excerpt_list({}), "");
  EXPECT_EQ(excerpt_list({"a", "b"}), "a, b");
  EXPECT_EQ(excerpt_list(std::vector<std::string>(14, "x")), "x, x, x, x, x, x, x, x, x, x, x, x and 2 more");
}

TEST(Random, DependsOnEveryPartOfTheKey) {
  std::set<std::uint64_t> seen;
  for (std::uint64_t seed = 0; seed < 8; ++seed)
    for (std::uint64_t stream = 0; stream < 8; ++stream)
      for (std::uint64_t counter = 0; counter < 8; ++counter) seen.insert(random_bits(seed, stream, counter));
  EXPECT_EQ(seen.size(), 512u);
  EXPECT_EQ(random_bits(1, 2, 3), random_bits(1, 2, 3));
}

TEST(Random, NormalHasItsMoments) {
  constexpr int kDraws = 200000;
  double sum = 0, squares = 0, fourth = 0;
  for (int i = 0; i < kDraws; ++i) {
    const double x = random_normal(1, 2, static_cast<std::uint64_t>(i));
    sum += x;
    squares += x * x;
    fourth += x * x * x * x;
  }
  // Five standard errors of each mean: 1, sqrt(2) and sqrt(96) over sqrt(draws).
  const double error = 5 / std::sqrt(kDraws);
  EXPECT_NEAR(sum / kDraws, 0, error);
  EXPECT_NEAR(squares / kDraws, 1, std::sqrt(2) * error);
  EXPECT_NEAR(fourth / kDraws, 3, std::sqrt(96) * error);
}

TEST(Random, BelowIsUniform) {
  std::vector<int> counts(10);
  for (std::uint64_t i = 0; i < 100000; ++i) ++counts[random_below(3, 4, i, 10)];
  for (const int count : counts) EXPECT_NEAR(count, 10000, 5 * std::sqrt(9000));
}

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

TEST(DType, NamesRoundTrip) {
  EXPECT_EQ(parse_dtype("bfloat16"), DType::bfloat16);
  EXPECT_THROW(parse_dtype("half"), Error);
}

TEST(Log, FormatsForPeople) {
  EXPECT_EQ(format_duration(59.6), "1 min 00 s");
  EXPECT_EQ(format_duration(3720), "1 h 02 min");
  for (const double any : {1e300, std::numeric_limits<double>::infinity(), std::numeric_limits<double>::quiet_NaN()})
    EXPECT_EQ(format_duration(any), format_duration(1e15)) << any;
  EXPECT_EQ(format_bytes(1536), "1.5 KiB");
  EXPECT_EQ(format_bytes(999), "999 B");
}

TEST(Log, ANarrowTerminalHoldsWholeFigures) {
  const std::string line = "train [##------] 1/4 | 12 s left | loss 2.3141 | 812 tokens/s";
  EXPECT_EQ(fit_figures(line, line.size()), line);
  EXPECT_EQ(fit_figures(line, line.size() - 1), "train [##------] 1/4 | 12 s left | loss 2.3141");
  EXPECT_EQ(fit_figures(line, 46), "train [##------] 1/4 | 12 s left | loss 2.3141");
  EXPECT_EQ(fit_figures(line, 45), "train [##------] 1/4 | 12 s left");
  EXPECT_EQ(fit_figures(line, 10), "train [##-");
}

}  // namespace
}  // namespace expunge
