// `expunge eval`.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "commands/run_command.h"
#include "inference/options.h"

namespace expunge {

/// Options of `expunge eval`.
struct EvalConfig : ScoringConfig {
  std::vector<std::string> splits;  ///< empty: every split of the domain, and general/evaluation if it exists
  std::filesystem::path compare;    ///< an earlier eval.h5 to print beside the metrics
};

/// The table refers to `config`, which must outlive it at the same address.
OptionTable eval_options(EvalConfig& config);
Command eval_command();

}  // namespace expunge
