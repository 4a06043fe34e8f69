// Which sequences an optimizer step uses, and how they are dealt to ranks and micro-batches.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace expunge {

/// A list of forget and retain sequences, which every rank holds, has at most this many items.
inline constexpr std::size_t kMostItems = 100'000'000;

/// The endless sequence of item numbers that optimizer steps consume: a permutation of 0 .. items - 1 for each epoch, which
/// depends on seed and epoch alone. Without shuffling, or with an order given, every epoch is the same.
class SampleOrder {
 public:
  SampleOrder(std::size_t items, std::uint64_t seed, bool shuffle);
  /// `order` is used as it is, epoch after epoch.
  explicit SampleOrder(std::vector<std::size_t> order) : shuffle_(false), permutation_(std::move(order)) {}

  std::size_t size() const { return permutation_.size(); }
  /// The item at a position of the sequence; positions of one epoch follow the last's.
  std::size_t item(std::uint64_t position);

 private:
  void permute(std::uint64_t epoch);

  std::uint64_t seed_ = 0, epoch_ = 0;
  bool shuffle_;
  std::vector<std::size_t> permutation_;
};

/// rounds[rank][micro-batch]: indices into the step's items. Every rank has equally many micro-batches, the last ones may be
/// empty; a micro-batch's items are in order of falling length.
using StepPlan = std::vector<std::vector<std::vector<std::size_t>>>;

/// Deals a step's items to ranks, balanced by tokens: longest first, each to the rank that has least. Micro-batches hold at
/// most `batch_size` sequences; or, with `micro_batch_tokens` above 0, at most so many tokens (a longer sequence stands
/// alone). Depends on its arguments alone, so every rank knows the whole plan.
StepPlan plan_step(std::span<const std::size_t> lengths, int world_size, std::size_t batch_size,
                   std::size_t micro_batch_tokens);

}  // namespace expunge
