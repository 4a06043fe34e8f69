// Figures of a split from its per-sequence figures.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace expunge {

/// What one pass of the model says of a sequence's n targets; every figure of the sequence comes from it.
struct TargetScores {
  std::vector<double> log_prob;        ///< (n) log-probability of the target, nats
  std::vector<std::uint8_t> hit;       ///< (n) 1 where the most likely token is the target
  std::vector<double> mean, variance;  ///< (n) of the log-probability under the model; empty unless asked for
};

/// One sequence: figures over its targets.
struct SequenceFigures {
  double nll;                      ///< mean negative log-likelihood, nats
  double accuracy;                 ///< share of targets that are the most likely token, 0 to 1: exact memorisation
  std::uint64_t tokens;            ///< targets
  double extraction_strength = 0;  ///< see extraction_strength()
};

/// One split, as Yao et al. 2024 and its released code report it.
struct SplitFigures {
  double perplexity;        ///< exp(mean over sequences of nll)
  double token_perplexity;  ///< exp(mean over all targets), what most other tools print
  double accuracy;          ///< 100 x mean over sequences of accuracy, percent
  std::uint64_t sequences, tokens;
  double extraction_strength = 0;  ///< mean over sequences
  /// Mean over sequences of the share of targets that are the most likely token (Tirumala et al. 2022), teacher-forced, over
  /// all targets: accuracy as a share.
  double exact_memorisation() const { return accuracy / 100; }
};

/// 1 - k / n for the smallest k such that the targets k .. n - 1 all are the most likely token (Carlini et al. 2021), k at most
/// n - 1 as open-unlearning counts it; so 1 / n where nothing is extracted. `hits` (n), n at least 1.
double extraction_strength(std::span<const std::uint8_t> hits);

/// At least one target.
SequenceFigures summarise_sequence(const TargetScores& scores);
/// At least one sequence.
SplitFigures summarise_split(std::span<const SequenceFigures> sequences);

}  // namespace expunge
