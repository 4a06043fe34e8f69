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
  std::string prompt_column;          ///< empty: prompt, else text
  std::optional<int> max_new_tokens;  ///< must be set
  double temperature = 0;             ///< 0: always the most likely token
  std::int64_t top_k = 0;             ///< 0: all
  double top_p = 1;
  std::uint64_t seed = 42;
  std::vector<std::string> stops;
  std::int64_t num_samples = 1;
};

/// The table refers to `config`, which must outlive it at the same address.
OptionTable generate_options(GenerateConfig& config);
/// The path of the record of an output's origin.
std::filesystem::path record_of_generation(const std::filesystem::path& output);
Command generate_command();

}  // namespace expunge
