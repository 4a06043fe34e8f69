// Opening the tables of a run, metrics.h5 and evaluations.h5, whatever became of them.
#pragma once

#include <cstdint>
#include <filesystem>
#include <vector>

#include "io/columns.h"

namespace expunge {

/// The table without rows past step `last_step`, or a new one; its first column is the step. One that is damaged, or is missing
/// where `checkpoint` has a copy, is replaced by that copy, with a warning unless the checkpoint is of another run, which goes
/// on here; where there is no copy a damaged one is kept as NAME.damaged.
Columns open_log_table(const std::filesystem::path& path, const std::vector<Columns::Column>& columns, std::int64_t last_step,
                       const std::filesystem::path& checkpoint);

}  // namespace expunge
