// Opens the tables of a run, metrics.h5 and evaluations.h5, and repairs them.
#pragma once

#include <cstdint>
#include <filesystem>
#include <vector>

#include "io/columns.h"

namespace expunge {

/// Opens the table without rows past step `last_step`, or makes a new one; the first column is the step. The copy in
/// `checkpoint` replaces a table that is damaged, missing or has other rows. This warns, unless the checkpoint is of another
/// run that continues here. Without a copy, a damaged table is kept as NAME.damaged.
Columns open_log_table(const std::filesystem::path& path, const std::vector<Columns::Column>& columns, std::int64_t last_step,
                       const std::filesystem::path& checkpoint);

}  // namespace expunge
