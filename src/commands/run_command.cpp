// Finds and runs the command of a command line.
#include "commands/run_command.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>

#include "cli/suggest.h"
#include "cli/values.h"
#include "core/processor.h"
#include "core/standard_streams.h"
#include "expunge/error.h"
#include "expunge/kernels.h"
#include "session/version.h"

namespace expunge {
namespace {

bool asks_for_help(const std::string& argument) { return argument == "--help" || argument == "-h"; }

std::string overview(const std::vector<Command>& commands) {
  std::string page = "usage: expunge COMMAND [options]\n\nMakes a pretrained language model forget documents.\n\nCommands:\n";
  for (const Command& command : commands) page += fmt::format("  {:<10} {}\n", command.name, command.purpose);
  return page +
         "\n`expunge help COMMAND` or `expunge COMMAND --help` lists the options of a command.\n"
         "`expunge --version` shows the version and what it was built with.\n";
}

std::string help_page(const Command& command) {
  const OptionTable options = command.prepare().options;
  return fmt::format(
      "usage: {}\n\n{}\n\nExample:\n  {}\n{}\nDefaults are in [ ]. `--key=value` and `--a_key value` work, too.\n",
      options.synopsis(), command.purpose, command.example, options.help());
}

const Command& find_command(const std::vector<Command>& commands, const std::string& name) {
  std::vector<std::string> names;
  for (const Command& command : commands) {
    if (command.name == name) return command;
    names.push_back(command.name);
  }
  const auto near = nearest(name, names);
  fail(ExitCode::usage, fmt::format("unknown command {}; {}", name,
                                    near ? fmt::format("did you mean {}?", *near) : "`expunge --help` lists the commands"));
}

KeyOwners key_owners(const std::vector<Command>& commands) {
  KeyOwners owners;
  for (const Command& command : commands)
    for (const std::string& key : command.prepare().options.keys()) owners[key].push_back(command.name);
  return owners;
}

/// Prints on rank 0 only, because the page is the same on all ranks.
void print_page(LaunchInfo launched, const std::string& page) {
  if (launched.rank == 0) print_text(page);
}

bool asks_for_config(const OptionTable& options) {
  return options.source("print-config") != OptionSource::none && *parse_bool(options.value("print-config"));
}

/// Runs the command that the first argument names; the other arguments are its options.
int dispatch(const std::vector<Command>& commands, const std::vector<std::string>& arguments, LaunchInfo launched) {
  const Command& chosen = find_command(commands, arguments.front());
  Job job = chosen.prepare();
  job.options.parse({arguments.begin() + 1, arguments.end()}, key_owners(commands));
  if (asks_for_config(job.options)) {
    print_page(launched, job.options.given_text());
    return static_cast<int>(ExitCode::done);
  }
  if (chosen.ranks == Ranks::one && launched.size > 1)
    fail(ExitCode::usage,
         fmt::format("expunge {} runs as one process, but {} were launched; start it without mpirun or srun -n", chosen.name,
                     launched.size));
  return job.run(job.options);
}

}  // namespace

int run_command(const std::vector<Command>& commands, const std::vector<std::string>& arguments) {
  hold_standard_streams();
  // Nodes may have different processors, so the first rank of each node reports.
  const int refused = guarded(launch_info_on_node(), [] {
    check_processor();
    return static_cast<int>(ExitCode::done);
  });
  if (refused != static_cast<int>(ExitCode::done)) return refused;
  const LaunchInfo launched = launch_info();
  return guarded(launched, [&] {
    if (arguments.empty()) {
      if (launched.rank == 0) std::fputs(overview(commands).c_str(), stderr);
      return static_cast<int>(ExitCode::usage);
    }
    const std::string& first = arguments.front();
    const bool help = first == "help" || std::any_of(arguments.begin(), arguments.end(), asks_for_help);
    int code = static_cast<int>(ExitCode::done);
    if (first == "--version")
      print_page(launched, version_text(cpu_kernels()));
    else if (!help)
      code = dispatch(commands, arguments, launched);
    else if (asks_for_help(first) || (first == "help" && (arguments.size() == 1 || asks_for_help(arguments[1]))))
      print_page(launched, overview(commands));
    else
      print_page(launched, help_page(find_command(commands, first == "help" ? arguments[1] : first)));
    if (code == static_cast<int>(ExitCode::done)) check_printed();  // otherwise a message was printed already
    return code;
  });
}

}  // namespace expunge
