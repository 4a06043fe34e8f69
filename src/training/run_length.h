// How long a run is: its optimizer steps, and what each of them takes.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "run/options.h"

namespace expunge {

/// An optimizer step holds at most this many sequences: they are dealt to ranks as one list, which every rank holds.
inline constexpr std::int64_t kLargestGlobalBatch = std::int64_t{1} << 24;

/// ranks x per-device batch x accumulation; nothing where that is more than kLargestGlobalBatch.
std::optional<std::int64_t> sequences_of_step(std::int64_t ranks, std::int64_t batch, std::int64_t accumulation);
/// The same; throws Error(usage), which names the options, where it is more.
std::int64_t checked_sequences_of_step(std::int64_t ranks, std::int64_t batch, std::int64_t accumulation);
/// Throws Error(usage) for a --global-batch-size of more than kLargestGlobalBatch.
void check_global_batch(std::int64_t global_batch);

/// The most tokens that a micro-batch can hold, of sequences of `longest` tokens: micro_batch_tokens where that is above 0,
/// else those of `per_device` sequences, but no more than an optimizer step has. Throws Error(usage) for more than
/// kMostBatchTokens.
int largest_micro_batch(const BatchOptions& batch, std::int64_t longest);

/// How long a run is, and which positions of the sample order each step takes: steps = ceil(items x epochs / global batch), or
/// max_steps; the last step may hold fewer. With --variant released as transformers 4.36's Trainer counts, on which the
/// study's code runs: an epoch is filled up to whole micro-batches from its beginning; a step ends whenever the number of
/// micro-batches so far is a multiple of the accumulation, and with each epoch that has no more of them than that; what is
/// left over in the end is dropped; a step's loss is always divided by the whole global batch.
struct RunLength {
  /// Throws Error(usage) where the epochs make more than kMostSteps.
  RunLength(const ScheduleOptions& schedule, const BatchOptions& batch, bool released, std::size_t items);
  /// Positions that the first `n` steps consume.
  std::int64_t samples_after(std::int64_t n) const;
  /// Where a position of the run lies in the endless sample order.
  std::uint64_t place(std::int64_t position) const {
    return static_cast<std::uint64_t>(position / epoch * items + position % epoch % items);
  }
  /// How far into the sample order the run comes.
  std::int64_t places() const { return (samples - 1) / epoch * items + std::min(items, (samples - 1) % epoch + 1); }

  std::int64_t items, epoch;  ///< sequences, and positions of an epoch
  std::int64_t global_batch, samples, steps;
  bool divide_by_global_batch;

 private:
  /// --variant released: sequences of a micro-batch over all ranks, micro-batches of an epoch, and of a full step.
  struct Released {
    std::int64_t round, rounds, accumulation;
    std::int64_t micro_batches_after(std::int64_t n) const;
  };
  static Released released_of(const BatchOptions& batch, std::int64_t items);

  std::optional<Released> released_;
};

}  // namespace expunge
