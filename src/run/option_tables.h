// Tables of the options of `expunge train` and `expunge unlearn`. They parse the options, write a run's config and read it.
#pragma once

#include <string>

#include "cli/option_table.h"
#include "run/options.h"

namespace expunge {

OptionTable train_table(RunOptions& options);
OptionTable unlearn_table(RunOptions& options);

/// Sets `resolved` and `defaults`.
void write_option_texts(RunOptions& options);

/// The options of a run from its config, read by the table that wrote it. A missing key has its default. Unknown keys are
/// skipped; of an unknown method only the name is kept. Throws Error(bad_input) with `where` and the line for a value that no
/// run can have.
RunOptions read_run_options(const std::string& config, const std::string& where);

}  // namespace expunge
