// What `expunge train` and `expunge unlearn` have in common.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "cli/option_table.h"
#include "run/options.h"

namespace expunge {

/// A heading of the help page with its options.
using OptionGroup = std::pair<std::string, std::vector<Option>>;
/// A table with `first`, to whose first group --config is added, and then the options of every training run.
OptionTable training_table(TrainConfig& config, std::vector<OptionGroup> first);
/// Checks and completes those options.
void check_training(TrainConfig& config, const OptionTable& given);

}  // namespace expunge
