// The commands of the program.
#pragma once

#include <vector>

#include "commands/run_command.h"

namespace expunge {

/// In the order in which help lists them. A new command is one file and one entry.
std::vector<Command> commands();

}  // namespace expunge
