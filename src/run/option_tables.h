// The options of `expunge train` and `expunge unlearn` as tables, which parse them, write a run's config and read it back.
#pragma once

#include <string>

#include "cli/option_table.h"
#include "run/options.h"

namespace expunge {

OptionTable train_table(RunOptions& options);
OptionTable unlearn_table(RunOptions& options);

/// Writes `resolved` and `defaults`.
void write_option_texts(RunOptions& options);

/// The options of a run from its config, by the table that parsed them. A key that the text lacks has its default, one that
/// this version does not know is passed over, and so is an unknown method but for its name. Throws Error(bad_input) with
/// `where` and the line for a value that no run can have.
RunOptions read_run_options(const std::string& config, const std::string& where);

}  // namespace expunge
