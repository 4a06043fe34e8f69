// Losses and weights of the methods on numbers worked out by hand.
#include <gtest/gtest.h>

#include "expunge/core/error.h"
#include "expunge/unlearn/objective.h"

namespace expunge {
namespace {

const Scope kScope{.forget = {.tokens = 30, .sequences = 3}, .retain = {.tokens = 8, .sequences = 1}};

TEST(GradientAscent, NegatesTheMeanOverSequencesOfTheirMeanNll) {
  const auto objective = make_objective("gradient_ascent");
  ASSERT_EQ(objective->terms().size(), 1u);
  EXPECT_EQ(objective->terms()[0].role, Role::forget);
  EXPECT_DOUBLE_EQ(objective->constant_weight(objective->terms()[0], 10, kScope), -1.0 / (10 * 4));
}

TEST(Descent, IsTheMeanOverSequencesOfTheirMeanNll) {
  const auto objective = make_descent();
  EXPECT_EQ(objective->terms()[0].role, Role::retain);
  EXPECT_DOUBLE_EQ(objective->constant_weight(objective->terms()[0], 8, kScope), 1.0 / (8 * 4));
}

TEST(Methods, AnUnknownNameListsTheKnown) {
  try {
    make_objective("gradient_descent");
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::usage);
    for (const auto name : method_names()) EXPECT_NE(std::string(error.what()).find(name), std::string::npos);
  }
}

}  // namespace
}  // namespace expunge
