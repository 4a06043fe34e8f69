// Runs another program without a shell.
#pragma once

#include <optional>
#include <string>
#include <vector>

namespace expunge {

struct Finished {
  int status;  ///< exit status; -1 if a signal ended it
  std::string output, errors;
};

/// Runs `command` (found along PATH) with `input` as its standard input, to its end. Returns nothing if there is no such
/// program. Throws Error(internal) if it cannot be started for another reason.
std::optional<Finished> run_program(const std::vector<std::string>& command, const std::string& input);

}  // namespace expunge
