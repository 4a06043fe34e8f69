// Continues sequences: one packed pass over the prompts, then one token per sequence and pass, with cached keys and values.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "expunge/device.h"
#include "expunge/kernels.h"
#include "model/llama.h"

namespace expunge {

/// Continues a batch of sequences of different lengths. A rank without sequences makes the same calls with empty spans,
/// because the number of calls determines the sequence of collectives.
template <Element T>
class Generator {
 public:
  /// A prompt of at least one token, its maximum number of positions, and the random number of its first draw.
  struct Opening {
    std::span<const std::int32_t> ids;
    int room;
    double uniform;  ///< in [0, 1)
  };
  /// The token that continues sequence `sequence` of the batch, and the random number of the next draw.
  struct Step {
    int sequence;
    std::int32_t id;
    double uniform;
  };
  /// The next token, drawn by LabelSampling, and its negative log-likelihood under the unfiltered model, in nats; NaN if the
  /// logits are not numbers.
  struct Drawn {
    std::int32_t id;
    double nll;
  };

  /// Allocates the cache for batches of at most `sequences` sequences with `positions` positions in total. Also allocates the
  /// model's workspace for `tokens` prompt tokens. Throws Error(usage) if there is not enough memory.
  Generator(Llama<T>& model, int sequences, int positions, int tokens, const LabelSampling& sampling);

  /// Starts a new batch: processes the prompts and draws a token for each.
  std::vector<Drawn> begin(std::span<const Opening> openings);
  /// Appends a token to some sequences of the batch and draws their next tokens.
  std::vector<Drawn> next(std::span<const Step> steps);

 private:
  using A = acc_t<T>;
  /// The rows of a sequence in the cache.
  struct CacheRange {
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
  std::vector<CacheRange> ranges_;
};

}  // namespace expunge
