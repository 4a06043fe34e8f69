// The sequences that a run trains on: their splits, roles and order.
#pragma once

#include <cstdint>
#include <filesystem>
#include <limits>
#include <span>
#include <string>
#include <vector>

#include "data/batches.h"
#include "data/label_file.h"
#include "data/token_file.h"
#include "expunge/token_signal.h"
#include "run/options.h"
#include "run/trained_splits.h"

namespace expunge {

/// The most items of the list, in its order, that a run takes; the largest number if it may take all.
std::size_t items_used(const RunOptions& options);

class TrainingData {
 public:
  /// Lists the sources' sequences one after another, at most --max-train-samples of them; the run takes `used` of them. A
  /// forget and a retain source make one interleaved list: forget 0, positive_ratio retain sequences, forget 1, and so on.
  /// Checks that every id lies below `vocabulary`. Throws Error(bad_input) for the token file, Error(usage) for options that
  /// do not match it.
  TrainingData(const TokenFile& tokens, const std::vector<RoleSplit>& sources, const SampleOptions& options, int vocabulary,
               std::size_t used = std::numeric_limits<std::size_t>::max());

  std::size_t items() const { return items_.size(); }
  Role role(std::size_t item) const { return items_[item].role; }
  std::span<const std::int32_t> ids(std::size_t item) const { return part(item).split.ids(items_[item].sequence); }
  std::size_t length(std::size_t item) const { return ids(item).size(); }
  /// Labels of an item, its ids unless set_labels() replaced them; position t - 1 predicts label t.
  std::span<const std::int32_t> labels(std::size_t item) const;
  /// Number of positions of an item that have a label to predict.
  std::size_t targets(std::size_t item) const;
  /// Number of an item's sequence in its split.
  std::size_t sequence(std::size_t item) const { return items_[item].sequence; }
  /// An item for messages: "books/forget sequence 3".
  std::string describe(std::size_t item) const;
  /// Tokens of the longest item.
  std::size_t longest() const;
  /// The item at a position of the endless sample order.
  std::size_t item(std::uint64_t position) { return order_.item(position); }

  /// Number of positions after which the sample order repeats.
  std::size_t order_length() const { return order_.size(); }

  std::size_t sources() const { return parts_.size(); }
  const RoleSplit& source(std::size_t s) const { return parts_[s].source; }
  const TokenSplit& split(std::size_t s) const { return parts_[s].split; }
  void set_labels(std::size_t s, Labels labels) { parts_[s].labels = std::move(labels); }
  /// True if sequences of a role are trained on labels other than their ids.

  bool labels_replaced(Role role) const;

 private:
  struct Part {
    RoleSplit source;
    TokenSplit split;
    Labels labels;  // empty: the ids
  };
  struct Item {
    Role role;
    std::size_t part, sequence;
  };
  const Part& part(std::size_t item) const { return parts_[items_[item].part]; }
  void interleave(std::size_t forget, std::size_t retain, const SampleOptions& options, std::size_t used);

  std::vector<Part> parts_;
  std::vector<Item> items_;
  SampleOrder order_;
};

}  // namespace expunge
