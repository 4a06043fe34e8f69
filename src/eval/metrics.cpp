// Perplexities, accuracy and memorisation.
#include "eval/metrics.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "expunge/error.h"

namespace expunge {

double extraction_strength(std::span<const std::uint8_t> hits) {
  check(!hits.empty(), "a sequence has targets");
  const auto suffix = std::find(hits.rbegin(), hits.rend(), std::uint8_t{0}) - hits.rbegin();
  return static_cast<double>(std::max<std::ptrdiff_t>(suffix, 1)) / static_cast<double>(hits.size());
}

SequenceFigures summarise_sequence(const TargetScores& scores) {
  const auto& [log_prob, hit, mean, variance] = scores;
  check(!log_prob.empty() && log_prob.size() == hit.size(), "a sequence has a hit for each of its targets");
  const auto n = static_cast<double>(log_prob.size());
  return {-std::accumulate(log_prob.begin(), log_prob.end(), 0.0) / n, std::accumulate(hit.begin(), hit.end(), 0.0) / n,
          log_prob.size(), extraction_strength(hit)};
}

SplitFigures summarise_split(std::span<const SequenceFigures> sequences) {
  check(!sequences.empty(), "a split has sequences");
  double nll = 0, token_nll = 0, accuracy = 0, extraction = 0;
  std::uint64_t tokens = 0;
  for (const SequenceFigures& sequence : sequences) {
    nll += sequence.nll;
    accuracy += sequence.accuracy;
    extraction += sequence.extraction_strength;
    token_nll += sequence.nll * static_cast<double>(sequence.tokens);
    tokens += sequence.tokens;
  }
  const auto n = static_cast<double>(sequences.size());
  return {std::exp(nll / n), std::exp(token_nll / static_cast<double>(tokens)), 100 * accuracy / n, sequences.size(), tokens,
          extraction / n};
}

}  // namespace expunge
