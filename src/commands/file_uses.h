// Outputs held against inputs, before a command writes anything.
#pragma once

#include "cli/option_table.h"

namespace expunge {

/// Throws Error(output) where an output of the command is one of its inputs, holds one, or lies in a folder that an input
/// consists of. Files are told by what they are, not by how their paths are written. A new file of results in the run folder
/// that a command reads is allowed.
void check_file_uses(const OptionTable& options);

}  // namespace expunge
