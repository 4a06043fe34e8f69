// The options that say how a model is computed, for every command that runs one.
#pragma once

#include <vector>

#include "cli/option_table.h"
#include "session/options.h"

namespace expunge {

/// The options of every command that runs a model: device, element type, sharding.
std::vector<Option> shared_compute_options(ComputeConfig& config);
/// The same, and those of training.
std::vector<Option> training_compute_options(ComputeConfig& config);
/// Decides between --bf16 and --dtype. Throws Error(usage) if they contradict each other, or for --tf32 or --comm without a
/// GPU.
void check_compute(ComputeConfig& config, const OptionTable& given);

}  // namespace expunge
