// Text for messages: valid UTF-8, short excerpts.
#include "core/text.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace expunge {
namespace {

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

}  // namespace
}  // namespace expunge
