// A micro-batch with the objective's term of each of its sequences.
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
  /// Packs `items` of `data`; items whose signals use the reference model come first.
  LossBatch(const TrainingData& data, std::vector<std::size_t> items, const Objective& objective,
            const std::vector<double>& reference_nll, const Scope& scope);

  const TokenBatch& tokens() const { return batch_; }
  const std::vector<SignalRows>& rows() const { return rows_; }
  /// dL/dsignal of every token, or nothing if a term's weight depends on the signals.
  std::optional<std::vector<double>> constant_weights() const;

  struct Part {
    std::size_t item;
    double loss;
    double nll;  ///< mean over the targets; NaN if the pass computed no logits
  };
  /// Computes every sequence's part of the loss from a pass's scores. Writes dL/dsignal of every token to `weights` unless
  /// null.
  template <typename A>
  std::vector<Part> evaluate(const TokenScores<A>& scores, std::vector<double>* weights) const;

 private:
  struct Sequence {
    std::size_t item;
    Term term;
    double reference_nll;
    std::vector<std::size_t> positions;  // tokens of the batch that enter the loss
  };
  const Objective& objective_;
  const Scope& scope_;
  TokenBatch batch_;
  std::vector<SignalRows> rows_;
  std::vector<Sequence> sequences_;
};

}  // namespace expunge
