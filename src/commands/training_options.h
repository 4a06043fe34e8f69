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
/// Completes what depends on the number of ranks: global_batch_size G = world x per-device batch x accumulation, unless it was
/// given, output_dir unless it was, and config.resolved. Throws Error(usage) when G and the accumulation were both given and do
/// not agree.
void resolve(TrainConfig& config, int world_size);
/// Starts a run whose options `table` made.
int start_training(TrainConfig& config, const OptionTable& given);
/// Checks and completes those options.
void check_training(TrainConfig& config, const OptionTable& given);

}  // namespace expunge
