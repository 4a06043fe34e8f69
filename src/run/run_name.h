// The default name of a run folder.
#pragma once

#include <filesystem>

#include "run/options.h"

namespace expunge {

/// output/<domain>/<model>/<W>_rank_bs_<b>_gas_<a>_lr_<lr>_epoch<e>[_general][_rmgt]/unlearn/<method>, as the study's code
/// names its runs: W ranks, b sequences per rank and micro-batch, a = ceil(G / (W b)) micro-batches per step, the learning rate
/// with two digits (2e-5: "2.0e_5"), e epochs, --general, --rm-groundtruth. `expunge train` ends in /train; its domain joins
/// those of its splits by '+'; a model from scratch is named after the folder of its config.json. Relative to the working
/// folder.
std::filesystem::path run_name(const RunOptions& config, int world_size);

}  // namespace expunge
