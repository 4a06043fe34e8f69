// Sample order, and the distribution of a step's sequences over ranks and micro-batches.
#include "data/batches.h"

#include <algorithm>
#include <bit>
#include <numeric>

#include "core/random.h"

namespace expunge {
namespace {

struct RankLoad {
  std::size_t tokens = 0;
  std::vector<std::size_t> items;
};

/// First-fit of falling lengths into micro-batches of at most `most` tokens. Each node of a tree over the micro-batches
/// stores the most room below it; a linear search would take quadratic time.
std::vector<std::vector<std::size_t>> pack(const std::vector<std::size_t>& items, std::span<const std::size_t> lengths,
                                           std::size_t most) {
  std::vector<std::vector<std::size_t>> bins;
  const std::size_t leaves = std::bit_ceil(items.size());
  std::vector<std::size_t> room(2 * leaves, most);  // children of node i: 2 i and 2 i + 1; leaf of micro-batch b: leaves + b
  for (const std::size_t item : items) {
    std::size_t node = 1;
    if (lengths[item] > most) node = leaves + bins.size();  // gets a micro-batch of its own
    while (node < leaves) node = room[2 * node] >= lengths[item] ? 2 * node : 2 * node + 1;
    if (node == leaves + bins.size()) bins.emplace_back();
    bins[node - leaves].push_back(item);
    room[node] -= std::min(room[node], lengths[item]);
    while ((node /= 2) > 0) room[node] = std::max(room[2 * node], room[2 * node + 1]);
  }
  return bins;
}

std::vector<std::vector<std::size_t>> split(const std::vector<std::size_t>& items, std::size_t batch_size) {
  std::vector<std::vector<std::size_t>> batches;
  for (std::size_t i = 0; i < items.size(); ++i) {
    if (i % batch_size == 0) batches.emplace_back();
    batches.back().push_back(items[i]);
  }
  return batches;
}

}  // namespace

SampleOrder::SampleOrder(std::size_t items, std::uint64_t seed, bool shuffle)
    : seed_(seed), shuffle_(shuffle), permutation_(items) {
  permute(0);
}

void SampleOrder::permute(std::uint64_t epoch) {
  epoch_ = epoch;
  std::iota(permutation_.begin(), permutation_.end(), std::size_t{0});
  if (!shuffle_) return;
  static const std::uint64_t kStream = random_stream("sample order");
  // Fisher and Yates 1938, from the end.
  for (std::size_t i = permutation_.size(); i > 1; --i)
    std::swap(permutation_[i - 1], permutation_[random_below(seed_, kStream + epoch, i, i)]);
}

std::size_t SampleOrder::item(std::uint64_t position) {
  const std::uint64_t epoch = position / permutation_.size();
  if (shuffle_ && epoch != epoch_) permute(epoch);
  return permutation_[position % permutation_.size()];
}

BatchDeal deal_batches(std::span<const std::size_t> lengths, int world_size, std::size_t batch_size,
                       std::size_t micro_batch_tokens) {
  std::vector<std::size_t> order(lengths.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return lengths[a] > lengths[b]; });

  const auto world = static_cast<std::size_t>(world_size);
  // With a limit on sequences, a rank above its share would need one more micro-batch than the others.
  const std::size_t share = micro_batch_tokens > 0 ? lengths.size() : (lengths.size() + world - 1) / world;
  std::vector<RankLoad> loads(world);
  for (const std::size_t item : order) {
    RankLoad* least = nullptr;
    for (RankLoad& load : loads)
      if (load.items.size() < share && (!least || load.tokens < least->tokens)) least = &load;
    least->items.push_back(item);
    least->tokens += lengths[item];
  }

  BatchDeal deal;
  std::size_t rounds = 0;
  for (const RankLoad& load : loads) {
    deal.push_back(micro_batch_tokens > 0 ? pack(load.items, lengths, micro_batch_tokens) : split(load.items, batch_size));
    rounds = std::max(rounds, deal.back().size());
  }
  for (auto& batches : deal) batches.resize(rounds);
  return deal;
}

}  // namespace expunge
