// The commands of the program.
#pragma once

#include <vector>

#include "app/run_command.h"

namespace expunge {

/// In the order in which help lists them.
std::vector<Command> commands();

}  // namespace expunge
