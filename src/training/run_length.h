// The length of a run: its number of optimizer steps, and the sequences of each step.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "run/options.h"

namespace expunge {

/// The most sequences of an optimizer step, because every rank holds the list that deals them to ranks.
inline constexpr std::int64_t kLargestGlobalBatch = std::int64_t{1} << 24;

/// ranks x per-device batch x accumulation; nothing if it exceeds kLargestGlobalBatch.
std::optional<std::int64_t> sequences_of_step(std::int64_t ranks, std::int64_t batch, std::int64_t accumulation);
/// The same, but throws Error(usage), naming the options, if it exceeds kLargestGlobalBatch.
std::int64_t checked_sequences_of_step(std::int64_t ranks, std::int64_t batch, std::int64_t accumulation);
/// Throws Error(usage) for a --global-batch-size above kLargestGlobalBatch.
void check_global_batch(std::int64_t global_batch);

/// The most tokens of a micro-batch whose sequences have up to `longest` tokens: micro_batch_tokens if positive, else those of
/// `per_device` sequences; never more than an optimizer step has. Throws Error(usage) if it exceeds kMostBatchTokens.
int largest_micro_batch(const BatchOptions& batch, std::int64_t longest);

/// The length of a run, and the positions of the sample order that each step takes. steps = ceil(items x epochs / global
/// batch), or max_steps; the last step may be smaller. --variant released counts as transformers 4.36's Trainer, which runs the
/// study's code. An epoch is filled up to whole micro-batches with sequences from its beginning. A step ends whenever the
/// number of micro-batches is a multiple of the accumulation. It also ends with an epoch that has no more micro-batches than
/// the accumulation. Micro-batches left over at the end are dropped. A step's loss is always divided by the global batch.
struct RunLength {
  /// Throws Error(usage) if the epochs take more than kMostSteps.
  RunLength(const ScheduleOptions& schedule, const BatchOptions& batch, bool released, std::size_t items);
  /// Number of positions that the first `n` steps take.
  std::int64_t samples_after(std::int64_t n) const;
  /// Place of a position of the run in the endless sample order.
  std::uint64_t place(std::int64_t position) const {
    return static_cast<std::uint64_t>(position / epoch * items + position % epoch % items);
  }
  /// Number of places of the sample order that the run takes.
  std::int64_t places() const { return (samples - 1) / epoch * items + std::min(items, (samples - 1) % epoch + 1); }

  std::int64_t items, epoch;  ///< sequences; positions of an epoch
  std::int64_t global_batch, samples, steps;
  bool divide_by_global_batch;

 private:
  /// --variant released: sequences of a micro-batch over all ranks, micro-batches of an epoch, micro-batches of a full step.
  struct Released {
    std::int64_t round, rounds, accumulation;
    std::int64_t micro_batches_after(std::int64_t n) const;
  };
  static Released released_of(const BatchOptions& batch, std::int64_t items);

  std::optional<Released> released_;
};

}  // namespace expunge
