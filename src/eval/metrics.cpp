// Perplexities and accuracy.
#include "expunge/eval/metrics.h"

#include <cmath>
#include <numeric>

#include "expunge/core/error.h"

namespace expunge {

SequenceFigures summarise_sequence(std::span<const double> nll, std::span<const std::uint8_t> hits) {
  check(!nll.empty() && nll.size() == hits.size(), "a sequence has a hit for each of its targets");
  const auto n = static_cast<double>(nll.size());
  return {std::accumulate(nll.begin(), nll.end(), 0.0) / n, std::accumulate(hits.begin(), hits.end(), 0.0) / n, nll.size()};
}

SplitFigures summarise_split(std::span<const SequenceFigures> sequences) {
  check(!sequences.empty(), "a split has sequences");
  double nll = 0, token_nll = 0, accuracy = 0;
  std::uint64_t tokens = 0;
  for (const SequenceFigures& sequence : sequences) {
    nll += sequence.nll;
    accuracy += sequence.accuracy;
    token_nll += sequence.nll * static_cast<double>(sequence.tokens);
    tokens += sequence.tokens;
  }
  const auto n = static_cast<double>(sequences.size());
  return {std::exp(nll / n), std::exp(token_nll / static_cast<double>(tokens)), 100 * accuracy / n, sequences.size(), tokens};
}

}  // namespace expunge
