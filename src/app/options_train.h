// What `expunge train` and `expunge unlearn` have in common.
#pragma once

#include <vector>

#include "app/options.h"
#include "expunge/train/config.h"

namespace expunge {

/// A table with `input` and the options of every training run.
OptionTable training_table(TrainConfig& config, std::vector<Option> input);
/// Checks and completes those options.
void check_training(TrainConfig& config, const OptionTable& given);

}  // namespace expunge
