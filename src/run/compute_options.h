// Options that say how a model is computed, of every command that runs one.
#pragma once

#include <vector>

#include "cli/option_table.h"
#include "session/options.h"

namespace expunge {

/// How a model is run: device, element type, sharding.
std::vector<Option> shared_compute_options(ComputeConfig& config);
/// The same and what only training has.
std::vector<Option> training_compute_options(ComputeConfig& config);
/// Settles --bf16 against --dtype, and refuses --tf32 where it would do nothing.
void check_compute(ComputeConfig& config, const OptionTable& given);

}  // namespace expunge
