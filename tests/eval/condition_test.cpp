// --stop-at: what is read, and what is refused, however long.
#include "eval/condition.h"

#include <gmock/gmock.h>

#include "support/temporary_folder.h"

namespace expunge {
namespace {

using testing::HasSubstr;

TEST(StopCondition, IsANumberOrAMetric) {
  const StopCondition number = parse_stop_condition(" \t\vpapers/forget:perplexity\n>= -1.5e3 ");
  EXPECT_EQ(number.left.split, "papers/forget");
  EXPECT_EQ(number.left.metric, "perplexity");
  EXPECT_TRUE(number.at_least);
  EXPECT_EQ(number.right.split, "");
  EXPECT_EQ(number.number, -1500);
  const StopCondition metric = parse_stop_condition("f:accuracy<=caf\xe9:token_perplexity@start");
  EXPECT_FALSE(metric.at_least);
  EXPECT_EQ(metric.right.split, "caf\xe9");
  EXPECT_EQ(metric.right.metric, "token_perplexity");
  EXPECT_TRUE(metric.right.at_start);
  EXPECT_FALSE(parse_stop_condition("a:accuracy >= b:accuracy").right.at_start);
}

TEST(StopCondition, KnowsEveryMetric) {
  for (const Metric& metric : metrics()) {
    const StopCondition condition = parse_stop_condition("a:" + std::string(metric.name) + " <= 0.5");
    EXPECT_EQ(condition.left.metric, metric.name);
    EXPECT_TRUE(condition.holds([](const StopCondition::Operand&) { return 0.25; }));
    EXPECT_FALSE(condition.holds([](const StopCondition::Operand&) { return 0.75; }));
    EXPECT_FALSE(condition.holds([](const StopCondition::Operand& operand) { return value_of(operand, {}); }))
        << "a split that was not evaluated meets nothing";
  }
}

TEST(StopCondition, RefusesOtherTexts) {
  for (const char* bad :
       {"", "x", "a:perplexity", "a:perplexity > 1", "a:loss >= 1", "a:perplexity >= 1e999", "a:accuracy >= +1",
        "a:accuracy >= 1@start", "a:accuracy >= b:accuracy@end", "a:accuracy >= nan", "a:accuracy >= 1 2"})
    EXPECT_THAT(error_of(ExitCode::usage, [&] { parse_stop_condition(bad); }), HasSubstr("--stop-at: expected SPLIT:METRIC"))
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
