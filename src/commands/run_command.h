// The table of commands, and the function that runs the command of a command line.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "cli/option_table.h"
#include "session/launcher.h"

namespace expunge {

/// The number of processes of a command.
enum class Ranks { one, any };

/// A command whose options have their default values.
struct Job {
  OptionTable options;
  std::function<int(const OptionTable&)> run;  ///< call it with the options after parsing them
};

/// An entry of the table of commands.
struct Command {
  std::string name;
  std::string purpose;  ///< one sentence
  std::string example;  ///< one command line
  Ranks ranks;
  std::function<Job()> prepare;
};

/// Makes a command. Its options fill a `Config`; `run` gets it and the table that filled it.
template <typename Config>
Command command(std::string name, std::string purpose, std::string example, Ranks ranks, OptionTable (*options)(Config&),
                std::function<int(Config&, const OptionTable&)> run) {
  return {std::move(name), std::move(purpose), std::move(example), ranks, [options, run = std::move(run)] {
            const auto config = std::make_shared<Config>();
            return Job{options(*config), [config, run](const OptionTable& given) { return run(*config, given); }};
          }};
}

/// Finds the command that `arguments` name first, parses its options and runs it. Also handles --help, --version and
/// `help COMMAND`. Prints errors, and returns the process exit code.
int run_command(const std::vector<Command>& commands, const std::vector<std::string>& arguments);

}  // namespace expunge
