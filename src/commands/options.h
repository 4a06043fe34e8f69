// Options of the commands that evaluate a model, as plain values.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "inference/options.h"

namespace expunge {

/// Options of `expunge eval`.
struct EvalConfig : ScoringConfig {
  std::vector<std::string> splits;  ///< empty: every split of the domain, and general/evaluation where there is one
  std::filesystem::path compare;    ///< an earlier eval.h5 to print beside the result
};

/// Options of `expunge generate`.
struct GenerateConfig : TextConfig {
  std::filesystem::path prompts;
  std::string prompt_column;          ///< empty: prompt, or else text
  std::optional<int> max_new_tokens;  ///< must be set
  double temperature = 0;             ///< 0: the most likely token each time
  std::int64_t top_k = 0;             ///< 0: all
  double top_p = 1;
  std::uint64_t seed = 42;
  std::vector<std::string> stops;
  std::int64_t num_samples = 1;
};

}  // namespace expunge
