// The model of a file of results.
#pragma once

#include <cstddef>
#include <string>

namespace expunge {

/// The origin of a file of results, besides the model and the hash that it names.
struct ResultOrigin {
  std::string checkpoint_sha256 = {};  ///< the checkpoint that the model was exported from; empty for no export
  /// Describes a model that is not the expected one, as "step-000020, not of ...", and for a table as "step-000020". Its
  /// results are shown and not compared.
  std::string other = {}, mark = {};
  std::size_t changes = 0;  ///< for results before: the number of earlier runs that had changed the model, as in Lineage

  bool is_other() const { return !other.empty(); }
};

}  // namespace expunge
