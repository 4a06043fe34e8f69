// Figures of a split on numbers worked out by hand.
#include <gtest/gtest.h>

#include <cmath>

#include "eval/metrics.h"

namespace expunge {
namespace {

TEST(Metrics, SequencesCountEquallyInPerplexityAndTokensInTokenPerplexity) {
  const TargetScores long_scores{{-1, -2, -3, -2}, {1, 0, 0, 1}, {}, {}}, short_scores{{-5}, {1}, {}, {}};
  const SequenceFigures sequences[] = {summarise_sequence(long_scores), summarise_sequence(short_scores)};
  EXPECT_DOUBLE_EQ(sequences[0].nll, 2);
  EXPECT_DOUBLE_EQ(sequences[0].accuracy, 0.5);
  const SplitFigures split = summarise_split(sequences);
  EXPECT_DOUBLE_EQ(split.perplexity, std::exp(3.5));
  EXPECT_DOUBLE_EQ(split.token_perplexity, std::exp(13.0 / 5));
  EXPECT_DOUBLE_EQ(split.accuracy, 75);
  EXPECT_DOUBLE_EQ(split.exact_memorisation(), 0.75);
  EXPECT_DOUBLE_EQ(split.extraction_strength, (0.25 + 1) / 2);
  EXPECT_EQ(split.sequences, 2u);
  EXPECT_EQ(split.tokens, 5u);
}

}  // namespace
}  // namespace expunge
