// Compares outputs with inputs before a command writes anything.
#pragma once

#include "cli/option_table.h"

namespace expunge {

/// Throws Error(output) if an output of the command is one of its inputs, holds one, or lies in an input folder. Compares
/// files by identity, not by path. A new file of results in a run folder that the command reads is allowed.
void check_file_uses(const OptionTable& options);

}  // namespace expunge
