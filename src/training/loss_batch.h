// A micro-batch with the term of the objective that each of its sequences stands under.
#pragma once

#include <cstddef>
#include <optional>
#include <vector>

#include "expunge/objective.h"
#include "model/llama.h"
#include "training/training_data.h"

namespace expunge {

class LossBatch {
 public:
  /// `items` of `data`, those whose signals use the reference model moved to the front.
  LossBatch(const TrainingData& data, std::vector<std::size_t> items, const Objective& objective,
            const std::vector<double>& reference_nll, const Scope& scope);

  const TokenBatch& tokens() const { return batch_; }
  const std::vector<SignalRows>& rows() const { return rows_; }
  /// dL/dsignal of every token, if no term's depends on the signals.
  std::optional<std::vector<double>> constant_weights() const;

  struct Part {
    std::size_t item;
    double loss;
    double nll;  ///< mean over the targets; not a number where the pass made no logits
  };
  /// Every sequence's part of the loss from the scores of a pass; dL/dsignal of every token goes to `weights` unless null.
  template <typename A>
  std::vector<Part> evaluate(const TokenScores<A>& scores, std::vector<double>* weights) const;

 private:
  struct Sequence {
    std::size_t item;
    Term term;
    double reference_nll;
    std::vector<std::size_t> positions;  // tokens of the batch that count
  };
  const Objective& objective_;
  const Scope& scope_;
  TokenBatch batch_;
  std::vector<SignalRows> rows_;
  std::vector<Sequence> sequences_;
};

}  // namespace expunge
