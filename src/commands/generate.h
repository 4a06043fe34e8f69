// `expunge generate`.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "commands/run_command.h"
#include "inference/options.h"

namespace expunge {

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

/// The table refers to `config`, which must outlive it and stay in place.
OptionTable generate_options(GenerateConfig& config);
/// Where it says how its output was made.
std::filesystem::path record_of_generation(const std::filesystem::path& output);
Command generate_command();

}  // namespace expunge
