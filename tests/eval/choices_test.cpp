// Preferred answers, last numbers and shares of hits, on examples worked out by hand.
#include "eval/choices.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

namespace expunge {
namespace {

TEST(Choices, TheLongerAnswerWinsOnlyByLength) {
  const std::vector<double> log_likelihoods{-6, -5, -20, -5}, lengths{3, 2, 20, 2};  // -2, -2.5, -1, -2.5 a character
  EXPECT_EQ(best_choice(log_likelihoods), 1u);
  EXPECT_EQ(best_choice_normalised(log_likelihoods, lengths), 2u);
}

TEST(Choices, CountsCharactersNotBytes) {
  EXPECT_EQ(character_count(""), 0u);
  EXPECT_EQ(character_count("abc"), 3u);
  EXPECT_EQ(character_count("h\u00e9\u4e2d\U0001f600"), 4u);
}

TEST(Choices, FindsTheLastNumber) {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"#### 42", "42"},
      {"It costs 3 and 5 dollars, 8 in all.", "8"},
      {"so $-1,234.50.", "-1234.5"},
      {"so -$7", "-7"},
      {"1,2,3", "123"},
      {"9-3", "3"},
      {"page-7", "7"},
      {"= -0.0", "0"},
      {"007.10", "7.1"},
      {"0.5", "0.5"},
      {"100", "100"},
      {"version 1.2.3", "3"},
      {"12,", "12"},
  };
  for (const auto& [text, number] : cases) EXPECT_EQ(answer_number(text), number) << text;
  EXPECT_EQ(answer_number("none, - . $"), std::nullopt);
  // A model that goes on behind its answer has answered all the same; one that says no more than the mark has not.
  EXPECT_EQ(answer_number("2 and 3 make 5.\n#### 5\nAnd 7. #### 8"), "5");
  EXPECT_EQ(answer_number("7 ####"), std::nullopt);
  EXPECT_EQ(answer_number(""), std::nullopt);
}

TEST(Choices, HitRateHasTheStandardErrorOfAMean) {
  const HitRate rate = hit_rate(std::vector<std::uint8_t>{1, 0, 1, 1});
  EXPECT_DOUBLE_EQ(rate.share, 0.75);
  // The sample standard deviation of 1, 0, 1, 1 is 0.5.
  EXPECT_DOUBLE_EQ(rate.standard_error, 0.5 / std::sqrt(4));
  EXPECT_TRUE(std::isnan(hit_rate(std::vector<std::uint8_t>{1}).standard_error));
}

}  // namespace
}  // namespace expunge
