// The table of commands, and the way from a command line to the one that runs.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "cli/option_table.h"
#include "session/launcher.h"

namespace expunge {

/// How many processes a command runs in.
enum class Ranks { one, any };

/// A command with the values of its options still at their defaults.
struct Job {
  OptionTable options;
  std::function<int(const OptionTable&)> run;  ///< to be called with the options, once they are parsed
};

/// One line of the table of commands.
struct Command {
  std::string name;
  std::string purpose;  ///< one sentence
  std::string example;  ///< one command line
  Ranks ranks;
  std::function<Job()> prepare;
};

/// A command whose options fill a `Config`, which `run` is then given with the table that filled it.
template <typename Config>
Command command(std::string name, std::string purpose, std::string example, Ranks ranks, OptionTable (*options)(Config&),
                std::function<int(Config&, const OptionTable&)> run) {
  return {std::move(name), std::move(purpose), std::move(example), ranks, [options, run = std::move(run)] {
            const auto config = std::make_shared<Config>();
            return Job{options(*config), [config, run](const OptionTable& given) { return run(*config, given); }};
          }};
}

/// Finds the command that `arguments` (what follows the program's name) begin with, parses its options and runs it. Also
/// answers --help, --version and `help COMMAND`. Returns the process exit code; prints what went wrong.
int run_command(const std::vector<Command>& commands, const std::vector<std::string>& arguments);

}  // namespace expunge
