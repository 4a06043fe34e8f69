// The sequences that a run trains on: which splits in which role, in which order.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "expunge/core/signal.h"
#include "expunge/data/batches.h"
#include "expunge/data/token_file.h"
#include "expunge/train/config.h"

namespace expunge {

class TrainingData {
 public:
  /// A split to draw from: "domain/split".
  struct Source {
    std::string split;
    Role role;
  };
  /// Items are the sources' sequences one behind the other, at most max_train_samples of them. Every id is checked to lie
  /// below `vocabulary`. Throws Error(bad_input) for the token file, Error(usage) for options that do not fit it.
  TrainingData(const TokenFile& tokens, const std::vector<Source>& sources, const TrainConfig& config, int vocabulary);

  std::size_t items() const { return items_.size(); }
  Role role(std::size_t item) const { return items_[item].role; }
  std::size_t length(std::size_t item) const { return items_[item].ids.size(); }
  std::span<const std::int32_t> ids(std::size_t item) const { return items_[item].ids; }
  /// Tokens of the longest item.
  std::size_t longest() const;
  /// The item at a position of the endless sample order.
  std::size_t item(std::uint64_t position) { return order_.item(position); }

 private:
  struct Item {
    Role role;
    std::span<const std::int32_t> ids;
  };
  std::vector<TokenSplit> splits_;
  std::vector<Item> items_;
  SampleOrder order_;
};

}  // namespace expunge
