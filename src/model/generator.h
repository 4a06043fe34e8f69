// Continuing sequences: one packed pass over the prompts, then one token a sequence and pass, with keys and values kept.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "expunge/device.h"
#include "expunge/kernels.h"
#include "model/llama.h"

namespace expunge {

/// Continues a batch of sequences of different lengths. A rank with nothing to continue makes the same calls as the others,
/// with empty spans: the sequence of collectives depends on the number of calls alone.
template <Element T>
class Generator {
 public:
  /// A prompt of at least one token, the positions that it may grow to, and what decides the first draw.
  struct Opening {
    std::span<const std::int32_t> ids;
    int room;
    double uniform;  ///< in [0, 1)
  };
  /// The token that sequence `sequence` of the batch goes on with, and what decides the draw of the next.
  struct Step {
    int sequence;
    std::int32_t id;
    double uniform;
  };
  /// A next token, as LabelSampling draws it, and its negative log-likelihood under the unfiltered model, in nats: not a
  /// number where the logits are none.
  struct Drawn {
    std::int32_t id;
    double nll;
  };

  /// Allocates the cache for batches of at most `sequences` sequences with `positions` positions together, and the model's
  /// workspace for `tokens` prompt tokens of a batch.
  Generator(Llama<T>& model, int sequences, int positions, int tokens, const LabelSampling& sampling);

  /// Forgets the batch before, takes in prompts and draws a token for each.
  std::vector<Drawn> begin(std::span<const Opening> openings);
  /// Appends a token to each of some sequences of the batch and draws the next.
  std::vector<Drawn> next(std::span<const Step> steps);

 private:
  using A = acc_t<T>;
  /// The rows of a sequence in the cache.
  struct Place {
    std::int32_t start, length, room;
  };
  std::vector<Drawn> pass(const TokenBatch& batch, std::span<const std::int32_t> slots, std::span<const std::int32_t> starts,
                          std::span<const std::int32_t> lengths, const std::vector<double>& uniform);
  /// Moves the last token's output of each sequence to the front of the workspace.
  void keep_last(const TokenBatch& batch);
  std::vector<Drawn> draw(const std::vector<double>& uniform);

  Llama<T>& model_;
  LabelSampling sampling_;
  int positions_;
  std::vector<Buffer<T>> cache_;  // (positions, 2K, E) of each layer
  Buffer<T> last_;                // (sequences, D)
  Buffer<std::int32_t> chosen_, excluded_;
  std::vector<Place> places_;
};

}  // namespace expunge
