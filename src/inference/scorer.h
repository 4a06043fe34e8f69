// One pass of the model over a split: the metrics of every sequence.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "data/token_file.h"
#include "eval/metrics.h"
#include "model/llama.h"

namespace expunge {

/// The splits that a user means: `asked` ("split" of the domain, or "domain/split"), or every split of the domain and
/// general/evaluation where there is one.
std::vector<std::string> evaluation_splits(const TokenFile& tokens, const std::string& domain,
                                           const std::vector<std::string>& asked);

struct EvaluationBatching {
  std::size_t batch_size;          ///< sequences of a micro-batch
  std::size_t micro_batch_tokens;  ///< above 0: tokens of a micro-batch instead
  std::size_t max_samples;         ///< first sequences of the split; 0: all
  /// Asked before every micro-batch, on all ranks alike: true ends the pass, whose result is then empty.
  std::function<bool()> cut_short = {};
};

/// What is kept of a sequence: a row of numbers from the scores of its targets, `width` in all.
struct Summary {
  std::size_t width;
  Moments moments;  ///< whether the scores hold them
  std::function<std::vector<double>(const TargetScores&)> row;
};

/// Sequences are dealt to ranks; every rank gets the rows of all, in the order of the split. Collective. Every id must lie
/// below the model's vocabulary.
template <Element T>
std::vector<std::vector<double>> score_split(Llama<T>& model, const TokenSplit& split, const EvaluationBatching& batching,
                                             const Summary& summary);

/// score_split() for the metrics of evaluation.
template <Element T>
std::vector<SequenceMetrics> evaluate_split(Llama<T>& model, const TokenSplit& split, const EvaluationBatching& batching);

/// Throws Error(collapse), with `model` and the split's name, where a sequence's mean nll is not a number: such a model has no
/// perplexity.
void check_finite(const std::string& model, const std::string& split, const std::vector<SequenceMetrics>& sequences);

}  // namespace expunge
