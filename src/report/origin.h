// Whose figures a file holds.
#pragma once

#include <cstddef>
#include <string>

namespace expunge {

/// Of a file of figures, beside the model and the hash that it names.
struct ResultOrigin {
  std::string checkpoint_sha256 = {};  ///< what the model is an export of; empty for no export
  /// The model where it is not the one whose figures are asked for: "step-000020, not of ..." and, for a table, "step-000020".
  /// Such figures are shown and not compared.
  std::string other = {}, mark = {};
  std::size_t changes = 0;  ///< before: how many earlier runs had changed the model, as Lineage counts them

  bool is_other() const { return !other.empty(); }
};

}  // namespace expunge
