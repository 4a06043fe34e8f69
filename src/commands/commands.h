// The commands of the program.
#pragma once

#include <vector>

#include "commands/run_command.h"

namespace expunge {

/// The commands in the order of the help. A new command is one file and one entry here.
std::vector<Command> commands();

}  // namespace expunge
