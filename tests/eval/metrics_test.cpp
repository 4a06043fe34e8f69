// Figures of a split on numbers worked out by hand.
#include <gtest/gtest.h>

#include <cmath>

#include "expunge/eval/metrics.h"

namespace expunge {
namespace {

TEST(Metrics, SequencesCountEquallyInPerplexityAndTokensInTokenPerplexity) {
  const std::vector<double> long_nll = {1, 2, 3, 2}, short_nll = {5};
  const std::vector<std::uint8_t> long_hits = {1, 0, 0, 1}, short_hits = {1};
  const SequenceFigures sequences[] = {summarise_sequence(long_nll, long_hits), summarise_sequence(short_nll, short_hits)};
  EXPECT_DOUBLE_EQ(sequences[0].nll, 2);
  EXPECT_DOUBLE_EQ(sequences[0].accuracy, 0.5);
  const SplitFigures split = summarise_split(sequences);
  EXPECT_DOUBLE_EQ(split.perplexity, std::exp(3.5));
  EXPECT_DOUBLE_EQ(split.token_perplexity, std::exp(13.0 / 5));
  EXPECT_DOUBLE_EQ(split.accuracy, 75);
  EXPECT_EQ(split.sequences, 2u);
  EXPECT_EQ(split.tokens, 5u);
}

}  // namespace
}  // namespace expunge
