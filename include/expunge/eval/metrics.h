// Figures of a split from its per-sequence figures.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace expunge {

/// One sequence: mean over its targets.
struct SequenceFigures {
  double nll;            ///< mean negative log-likelihood, nats
  double accuracy;       ///< share of targets that are the most likely token, 0 to 1
  std::uint64_t tokens;  ///< targets
};

/// One split, as Yao et al. 2024 and its released code report it.
struct SplitFigures {
  double perplexity;        ///< exp(mean over sequences of nll)
  double token_perplexity;  ///< exp(mean over all targets), what most other tools print
  double accuracy;          ///< 100 x mean over sequences of accuracy, percent
  std::uint64_t sequences, tokens;
};

/// `nll` and `hits` (1 where the most likely token is the target) of one sequence's targets, at least one.
SequenceFigures summarise_sequence(std::span<const double> nll, std::span<const std::uint8_t> hits);
/// At least one sequence.
SplitFigures summarise_split(std::span<const SequenceFigures> sequences);

}  // namespace expunge
