// The models that a run's model came from, to tell their results apart.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "run/history.h"
#include "store/checkpoint.h"

namespace expunge {

/// The runs before a run, and the models between them. A model is identified by the number of runs that had changed it.
struct Lineage {
  struct Model {
    std::string sha256;
    std::size_t changes;
  };

  std::vector<FormerRun> former;  ///< oldest first
  std::vector<Model> models;      ///< models with a known hash, oldest first
  /// Changes of the original model, which is the one that the first run of unlearning began from.
  std::size_t original = 0;

  /// The changes of a model that the run came from; nothing for another model.
  std::optional<std::size_t> changes_of(const std::string& sha256) const;
  /// "the original model", or "the model that this run began from, already changed by 20 steps of gradient_ascent on papers".
  std::string name(std::size_t changes) const;
  /// The work of the earlier runs from `first` up to `last`: "20 steps of gradient_ascent on papers, 1 step of ...".
  std::string work(std::size_t first, std::size_t last) const;
  /// The work of earlier runs since the original model; empty for none.
  std::string earlier_work() const { return work(original, former.size()); }
  /// The same as the names of their methods.
  std::string earlier_methods() const;
  /// The number of earlier runs before those whose steps are in the run's own metrics.
  std::size_t before_state() const;
  /// Steps of earlier runs that count as the run's.
  std::int64_t adopted_steps() const;
};

/// Reads the lineage from the record of a checkpoint. Throws Error(bad_input) with `where`.
Lineage read_lineage(const CheckpointInfo& info, const std::string& where);

}  // namespace expunge
