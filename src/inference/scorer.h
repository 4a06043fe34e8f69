// One pass of a model over a split, with metrics of every sequence.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "data/token_file.h"
#include "eval/metrics.h"
#include "model/llama.h"

namespace expunge {

/// The splits to evaluate: `asked` ("split" of the domain, or "domain/split"), or if empty every split of the domain, and
/// general/evaluation if it exists.
std::vector<std::string> evaluation_splits(const TokenFile& tokens, const std::string& domain,
                                           const std::vector<std::string>& asked);

struct EvaluationBatching {
  std::size_t batch_size;          ///< sequences of a micro-batch
  std::size_t micro_batch_tokens;  ///< above 0: most tokens of a micro-batch instead
  std::size_t max_samples;         ///< number of first sequences of the split; 0: all
  /// Called before every micro-batch, with the same result on all ranks; true ends the pass with an empty result.
  std::function<bool()> cut_short = {};
};

/// Reduces the scores of a sequence's targets to a row of `width` numbers.
struct Summary {
  std::size_t width;
  Moments moments;  ///< include them if `row` needs mean or variance
  std::function<std::vector<double>(const TargetScores&)> row;
};

/// Deals the sequences to ranks; every rank gets all rows, in the order of the split. Collective. Every id must lie below the
/// model's vocabulary.
template <Element T>
std::vector<std::vector<double>> score_split(Llama<T>& model, const TokenSplit& split, const EvaluationBatching& batching,
                                             const Summary& summary);

/// score_split() for the metrics of an evaluation.
template <Element T>
std::vector<SequenceMetrics> evaluate_split(Llama<T>& model, const TokenSplit& split, const EvaluationBatching& batching);

/// Throws Error(collapse), naming `model` and the split, if a sequence's mean nll is not finite, because such a model has no
/// perplexity.
void check_finite(const std::string& model, const std::string& split, const std::vector<SequenceMetrics>& sequences);

}  // namespace expunge
