// Counts the optimizer steps of a run.
#include "training/run_length.h"

#include <fmt/format.h>

#include <cmath>
#include <numeric>

#include "expunge/error.h"
#include "model/token_batch.h"

namespace expunge {
namespace {

/// Throws Error(usage) if the epochs take more steps than a run may. `steps` is a double, because it may exceed any integer.
void check_steps(double epochs, const BatchOptions& batch, std::int64_t items, double steps) {
  if (steps <= static_cast<double>(kMostSteps)) return;
  fail(ExitCode::usage,
       fmt::format("--num-train-epochs {}: epochs over {} sequences, {} per step, take {:.4g} optimizer steps, "
                   "but a run takes at most {}; lower it, or give --max-steps",
                   epochs, items, batch.global, steps, kMostSteps));
}

}  // namespace

std::optional<std::int64_t> sequences_of_step(std::int64_t ranks, std::int64_t batch, std::int64_t accumulation) {
  // A double holds the product of any three options, but 64 bits may not.
  const double product = static_cast<double>(ranks) * static_cast<double>(batch) * static_cast<double>(accumulation);
  if (product > static_cast<double>(kLargestGlobalBatch)) return std::nullopt;
  return ranks * batch * accumulation;
}

std::int64_t checked_sequences_of_step(std::int64_t ranks, std::int64_t batch, std::int64_t accumulation) {
  if (const auto sequences = sequences_of_step(ranks, batch, accumulation)) return *sequences;
  fail(ExitCode::usage,
       fmt::format("{} ranks x --per-device-train-batch-size {} x --gradient-accumulation-steps {} exceeds {}, "
                   "the most sequences of an optimizer step; lower one of them",
                   ranks, batch, accumulation, kLargestGlobalBatch));
}

void check_global_batch(std::int64_t global_batch) {
  if (global_batch > kLargestGlobalBatch)
    fail(ExitCode::usage, fmt::format("--global-batch-size {} exceeds {}, the most sequences of an optimizer step; lower it",
                                      global_batch, kLargestGlobalBatch));
}

int largest_micro_batch(const BatchOptions& batch, std::int64_t longest) {
  const std::int64_t packed = batch.micro_batch_tokens;
  const std::int64_t tokens = packed > 0 ? std::max(longest, std::min(packed, longest * batch.global))
                                         : longest * std::min(batch.per_device, batch.global);
  if (tokens > kMostBatchTokens)
    fail(ExitCode::usage, fmt::format("--{} {} makes micro-batches of up to {} tokens, because sequences have up to {}; a "
                                      "micro-batch holds at most {}: lower it",
                                      packed > 0 ? "micro-batch-tokens" : "per-device-train-batch-size",
                                      packed > 0 ? packed : batch.per_device, tokens, longest, kMostBatchTokens));
  return static_cast<int>(tokens);
}

/// A step ends at each multiple of `accumulation`, and at each multiple of `rounds`, an epoch's end, if rounds <= accumulation.
std::int64_t RunLength::Released::micro_batches_after(std::int64_t n) const {
  if (rounds > accumulation) return n * accumulation;
  // The pattern of ends repeats with the least common multiple, where two ends coincide.
  const std::int64_t period = std::lcm(rounds, accumulation), ends = period / rounds + period / accumulation - 1;
  const std::int64_t left = n % ends;
  std::int64_t below = 0;
  std::int64_t end = left == 0 ? 0 : period;  // the first `left` ends lie in (below, end]
  while (end - below > 1) {
    const std::int64_t middle = below + (end - below) / 2;
    if (middle / rounds + middle / accumulation < left)
      below = middle;
    else
      end = middle;
  }
  return n / ends * period + end;
}

RunLength::Released RunLength::released_of(const BatchOptions& batch, std::int64_t items) {
  const std::int64_t accumulation =
      batch.accumulation > 0 ? batch.accumulation : std::max<std::int64_t>(1, batch.global / batch.per_device);
  const std::int64_t round = std::max<std::int64_t>(1, batch.global / accumulation);
  return {round, (items + round - 1) / round, accumulation};
}

RunLength::RunLength(const ScheduleOptions& schedule, const BatchOptions& batch, bool released, std::size_t count)
    : items(static_cast<std::int64_t>(count)),
      epoch(items),
      global_batch(batch.global),
      samples(0),
      steps(schedule.max_steps),
      divide_by_global_batch(released) {
  if (released) {
    released_ = released_of(batch, items);
    epoch = released_->rounds * released_->round;
    const std::int64_t of_epoch = std::max<std::int64_t>(1, released_->rounds / released_->accumulation);
    const double asked = std::ceil(schedule.num_train_epochs * static_cast<double>(of_epoch));
    if (schedule.max_steps <= 0) {
      check_steps(schedule.num_train_epochs, batch, items, asked);
      steps = static_cast<std::int64_t>(asked);
    }
    samples = samples_after(steps);
    return;
  }
  if (schedule.max_steps > 0) {
    samples = schedule.max_steps * global_batch;
    return;
  }
  const double asked = std::ceil(static_cast<double>(items) * schedule.num_train_epochs);
  check_steps(schedule.num_train_epochs, batch, items, std::ceil(asked / static_cast<double>(global_batch)));
  samples = static_cast<std::int64_t>(asked);
  steps = (samples + global_batch - 1) / global_batch;
}

std::int64_t RunLength::samples_after(std::int64_t n) const {
  n = std::min(n, steps);
  return released_ ? released_->round * released_->micro_batches_after(n) : std::min(n * global_batch, samples);
}

}  // namespace expunge
