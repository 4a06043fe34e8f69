// A packed micro-batch: concatenated sequences without padding.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace expunge {

inline constexpr std::int32_t kNoTarget = -1;
/// Most tokens of a micro-batch, because positions have 32 bits.
inline constexpr std::int64_t kMostBatchTokens = std::int64_t{1} << 30;

/// T tokens of B sequences. Position t of a sequence predicts the token at t + 1; the last position has no target.
struct TokenBatch {
  std::vector<std::int32_t> ids, labels, positions;  ///< (T)
  std::vector<std::int32_t> offsets{0};              ///< (B + 1): sequence s is tokens offsets[s] .. offsets[s + 1]

  /// Throws Error(usage) if the batch would exceed kMostBatchTokens.
  void append(std::span<const std::int32_t> sequence);
  /// With labels other than the ids: labels[t] is the target of position t - 1; kNoTarget or any negative number means no
  /// target. labels (n)
  void append(std::span<const std::int32_t> sequence, std::span<const std::int32_t> labels);
  /// The sequences of the first `tokens` tokens, with their own ids as labels.
  TokenBatch front(int tokens) const;
  int tokens() const { return static_cast<int>(ids.size()); }
  int sequences() const { return static_cast<int>(offsets.size()) - 1; }
  /// Number of targets of sequence s if its labels are its ids.
  int targets(int s) const { return offsets[static_cast<std::size_t>(s) + 1] - offsets[static_cast<std::size_t>(s)] - 1; }
};

/// The model's scores of a batch's targets, one value per token; positions without a target hold 0.
template <typename A>
struct TokenScores {
  std::vector<A> nll;                       ///< (T) negative log-likelihood of the label, in nats
  std::vector<A> signal;                    ///< (T) the row's Signal, in training; may equal the nll
  std::vector<std::int32_t> predictions;    ///< (T) most likely next token, also without a target
  std::vector<A> mean = {}, variance = {};  ///< (T) moments of log p under the model, also without a target; or empty
};

}  // namespace expunge
