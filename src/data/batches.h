// Selects the sequences of an optimizer step and deals them to ranks and micro-batches.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace expunge {

/// Limit on a list of forget and retain sequences; every rank holds the whole list.
inline constexpr std::size_t kMostItems = 100'000'000;

/// A list of items in which `ratio` retain sequences follow each forget sequence: forget 0, retain 0 .. ratio - 1, forget 1,
/// and so on. With ratio 0 all items are forget sequences.
struct Interleaving {
  std::size_t ratio;

  std::size_t group() const { return 1 + ratio; }
  bool is_forget(std::size_t item) const { return item % group() == 0; }
  /// The number of the item's sequence among those of its role.
  std::size_t sequence(std::size_t item) const {
    return is_forget(item) ? item / group() : item / group() * ratio + item % group() - 1;
  }
};

/// The endless sequence of item numbers for optimizer steps: one permutation of 0 .. items - 1 per epoch, determined by seed
/// and epoch. Without shuffling, or with a given order, all epochs are equal.
class SampleOrder {
 public:
  SampleOrder(std::size_t items, std::uint64_t seed, bool shuffle);
  /// Uses `order` unchanged in every epoch.
  explicit SampleOrder(std::vector<std::size_t> order) : shuffle_(false), permutation_(std::move(order)) {}

  std::size_t size() const { return permutation_.size(); }
  /// The item at a position; the positions of an epoch follow those of the epoch before.
  std::size_t item(std::uint64_t position);

 private:
  void permute(std::uint64_t epoch);

  std::uint64_t seed_ = 0, epoch_ = 0;
  bool shuffle_;
  std::vector<std::size_t> permutation_;
};

/// deal[rank][micro-batch]: indices into the step's items. All ranks have the same number of micro-batches; the last may be
/// empty. A micro-batch's items have falling lengths.
using BatchDeal = std::vector<std::vector<std::vector<std::size_t>>>;

/// Deals a step's items to ranks, balanced by tokens: longest first, each to the rank with the fewest tokens. A micro-batch
/// holds at most `batch_size` sequences or, if `micro_batch_tokens` > 0, at most that many tokens; a longer sequence stands
/// alone. The result depends only on the arguments, so every rank knows the whole deal.
BatchDeal deal_batches(std::span<const std::size_t> lengths, int world_size, std::size_t batch_size,
                       std::size_t micro_batch_tokens);

}  // namespace expunge
