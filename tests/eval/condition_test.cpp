// --stop-at: what is read, and what is refused, however long.
#include "eval/condition.h"

#include <gmock/gmock.h>

#include "support/temporary_folder.h"

namespace expunge {
namespace {

using testing::HasSubstr;

TEST(StopCondition, IsANumberOrAFigure) {
  const StopCondition number = parse_stop_condition(" \t\vpapers/forget:perplexity\n>= -1.5e3 ");
  EXPECT_EQ(number.left.split, "papers/forget");
  EXPECT_EQ(number.left.name, "perplexity");
  EXPECT_TRUE(number.at_least);
  EXPECT_EQ(number.right.split, "");
  EXPECT_EQ(number.number, -1500);
  const StopCondition figure = parse_stop_condition("f:accuracy<=caf\xe9:token_perplexity@start");
  EXPECT_FALSE(figure.at_least);
  EXPECT_EQ(figure.right.split, "caf\xe9");
  EXPECT_EQ(figure.right.name, "token_perplexity");
  EXPECT_TRUE(figure.right.at_start);
  EXPECT_FALSE(parse_stop_condition("a:accuracy >= b:accuracy").right.at_start);
}

TEST(StopCondition, RefusesOtherTexts) {
  for (const char* bad :
       {"", "x", "a:perplexity", "a:perplexity > 1", "a:loss >= 1", "a:perplexity >= 1e999", "a:accuracy >= +1",
        "a:accuracy >= 1@start", "a:accuracy >= b:accuracy@end", "a:accuracy >= nan", "a:accuracy >= 1 2"})
    EXPECT_THAT(error_of(ExitCode::usage, [&] { parse_stop_condition(bad); }), HasSubstr("--stop-at: expected SPLIT:FIGURE"))
        << bad;
}

TEST(StopCondition, LongTextsTakeLinearTimeAndNoStack) {
  for (const char letter : {'a', ' ', '1', ':', '='}) {
    const std::string long_text(4'000'000, letter);
    for (const std::string& text : {long_text, "a:accuracy >= " + long_text + "!", long_text + ":accuracy >= 1!"}) {
      const std::string message = error_of(ExitCode::usage, [&] { parse_stop_condition(text); });
      EXPECT_LT(message.size(), 500u);
    }
  }
  EXPECT_EQ(parse_stop_condition(std::string(1'000'000, 'a') + ":accuracy >= 1").left.split.size(), 1'000'000u);
}

}  // namespace
}  // namespace expunge
