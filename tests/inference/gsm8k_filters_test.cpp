// What lm-eval 0.4.13's filters find in completions.
#include "inference/gsm8k_filters.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace expunge {
namespace {

TEST(Gsm8kFilters, FindWhatTheHarnessFinds) {
  struct Case {
    std::string completion, strict, flexible;
  };
  // The harness has "[invalid]" where we have nothing.
  const std::vector<Case> cases = {
      {"#### 42", "42", "42"},
      {"####42", "", "42"},
      {"so #### -1,250. Then #### 3", "-1250", "3"},
      {"It costs 3 and 5 dollars, 8 in all.", "", "8"},
      {"so $-1,234.50.", "", "-1234.50"},
      {"10-5", "", "-5"},
      {"is $12.", "", "12"},
      {"none, - . $", "", ""},
      {"", "", ""},
      {"7 ####", "", "7"},
      {"5..", "", "5."},
      {"#### $5", "", "5"},
      {"1 \u00e9 2,", "", "2"},
      {"\xff 3", "", "3"},
      {"0.50 #### 0.5", "0.5", "0.5"},
  };
  for (const Case& c : cases) {
    EXPECT_EQ(gsm8k_strict(c.completion), c.strict) << c.completion;
    EXPECT_EQ(gsm8k_flexible(c.completion), c.flexible) << c.completion;
  }
  EXPECT_EQ(gsm8k_compared("#### no\nIt is <<1+2=3>>3.\n#### $1,250."), "1250");
}

}  // namespace
}  // namespace expunge
