// A packed micro-batch: sequences one behind the other, without padding.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace expunge {

inline constexpr std::int32_t kNoTarget = -1;
/// A micro-batch holds at most this many tokens: its positions are counted in 32 bits.
inline constexpr std::int64_t kMostBatchTokens = std::int64_t{1} << 30;

/// T tokens of B sequences. Position t of a sequence predicts the token at t + 1; the last position has no target.
struct TokenBatch {
  std::vector<std::int32_t> ids, labels, positions;  ///< (T)
  std::vector<std::int32_t> offsets{0};              ///< (B + 1): sequence s is tokens offsets[s] .. offsets[s + 1]

  /// Throws Error(usage) where the batch would hold more than kMostBatchTokens.
  void append(std::span<const std::int32_t> sequence);
  /// With other labels than the ids: labels[t] is what position t - 1 is to predict, kNoTarget or any negative number for
  /// nothing. labels (n)
  void append(std::span<const std::int32_t> sequence, std::span<const std::int32_t> labels);
  /// The sequences that make up the first `tokens` tokens, with their own ids as labels.
  TokenBatch front(int tokens) const;
  int tokens() const { return static_cast<int>(ids.size()); }
  int sequences() const { return static_cast<int>(offsets.size()) - 1; }
  /// Targets of sequence s when its labels are its ids.
  int targets(int s) const { return offsets[static_cast<std::size_t>(s) + 1] - offsets[static_cast<std::size_t>(s)] - 1; }
};

/// What the model says of a batch's targets, one value a token; positions without a target hold 0.
template <typename A>
struct TokenScores {
  std::vector<A> nll;                       ///< (T) negative log-likelihood of the label, in nats
  std::vector<A> signal;                    ///< (T) what the row's Signal asks for, in training; the nll where that is it
  std::vector<std::int32_t> predictions;    ///< (T) most likely next token, also where there is no target
  std::vector<A> mean = {}, variance = {};  ///< (T) of log p under the model, also where there is no target; or empty
};

}  // namespace expunge
