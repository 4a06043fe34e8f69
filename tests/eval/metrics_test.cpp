// Figures of a split on numbers worked out by hand.
#include <gtest/gtest.h>

#include <cmath>

#include "eval/metrics.h"
#include "support/temporary_folder.h"

namespace expunge {
namespace {

TEST(Metrics, SequencesCountEquallyInPerplexityAndTokensInTokenPerplexity) {
  const TargetScores long_scores{{-1, -2, -3, -2}, {1, 0, 0, 1}, {}, {}}, short_scores{{-5}, {1}, {}, {}};
  const SequenceMetrics sequences[] = {summarise_sequence(long_scores), summarise_sequence(short_scores)};
  EXPECT_DOUBLE_EQ(sequences[0]["nll"], 2);
  EXPECT_DOUBLE_EQ(sequences[0]["accuracy"], 0.5);
  const SplitMetrics split = summarise_split(sequences);
  EXPECT_DOUBLE_EQ(split["perplexity"], std::exp(3.5));
  EXPECT_DOUBLE_EQ(split["token_perplexity"], std::exp(13.0 / 5));
  EXPECT_DOUBLE_EQ(split["accuracy"], 75);
  EXPECT_DOUBLE_EQ(split["exact_memorisation"], 0.75);
  EXPECT_DOUBLE_EQ(split["extraction_strength"], (0.25 + 1) / 2);
  EXPECT_DOUBLE_EQ(split["probability"], (std::exp(-2.0) + std::exp(-5.0)) / 2);
  EXPECT_EQ(split.sequences, 2u);
  EXPECT_EQ(split.targets, 5u);
}

TEST(Metrics, EachIsShownAndComparedByItsUnit) {
  EXPECT_EQ(find_metric("perplexity").text(3.14159), "3.142");
  EXPECT_EQ(find_metric("accuracy").text(12.345), "12.35 %");
  EXPECT_EQ(find_metric("probability").text(0.12345), "12.35 %");
  EXPECT_DOUBLE_EQ(find_metric("perplexity").distance(4, 8), std::log(2));
  EXPECT_DOUBLE_EQ(find_metric("extraction_strength").distance(0.25, 0.75), 0.5);
}

TEST(Metrics, AnUnknownNameListsTheKnown) {
  const std::string message = error_of(ExitCode::usage, [] { find_metric("loss"); });
  for (const Metric& metric : metrics()) EXPECT_NE(message.find(metric.name), std::string::npos) << metric.name;
}

TEST(Metrics, WhatIsNotKnownIsNotANumber) {
  const SplitMetrics nothing;
  for (const Metric& metric : metrics()) EXPECT_TRUE(std::isnan(nothing[metric.name])) << metric.name;
}

}  // namespace
}  // namespace expunge
