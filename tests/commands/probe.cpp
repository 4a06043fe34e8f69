// A program with commands that fail in chosen ways, for tests of messages and exit codes.
#include <fcntl.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <functional>
#include <limits>
#include <new>
#include <stdexcept>
#include <string>
#include <system_error>
#include <thread>
#include <vector>

#include "cli/values.h"
#include "comm/mpi_environment.h"
#include "commands/run_command.h"
#include "commands/shared_options.h"
#include "core/standard_streams.h"
#include "expunge/error.h"
#include "io/files.h"
#include "support/folder.h"

namespace {

using namespace expunge;

struct ProbeConfig {
  int rank = 0;
  int code = 3;
};

OptionTable probe_options(ProbeConfig& config) {
  OptionTable table("probe");
  table.group("Options", {required(whole("code", config.code, 0, "exit code")), whole("rank", config.rank, 0, "who fails"),
                          print_config_option()});
  return table;
}

/// Fails before MPI starts.
int fail_early(ProbeConfig& config) { fail(static_cast<ExitCode>(config.code), "failed early"); }

int in_mpi(const std::function<void(int rank)>& work) {
  MpiEnvironment mpi(60);
  return guarded({mpi.rank(), mpi.size()}, [&] {
    work(mpi.rank());
    return 0;
  });
}

int fail_everywhere(ProbeConfig& config) {
  return in_mpi([&](int) { fail(static_cast<ExitCode>(config.code), "failed everywhere"); });
}

/// The other ranks wait for longer than the test would.
int fail_on_one(ProbeConfig& config) {
  return in_mpi([&](int rank) {
    if (rank == config.rank) fail(static_cast<ExitCode>(config.code), "failed alone");
    std::this_thread::sleep_for(std::chrono::minutes(5));
  });
}

int throw_foreign(ProbeConfig&) { throw std::logic_error("not ours"); }
int run_out_of_memory(ProbeConfig&) { throw std::bad_alloc(); }
int ask_for_too_much(ProbeConfig&) {
  std::vector<char>().resize(std::numeric_limits<std::size_t>::max());
  return 0;
}
int run_out_of_threads(ProbeConfig&) {
  throw std::system_error(std::make_error_code(std::errc::resource_unavailable_try_again));
}
int look_at_a_long_name(ProbeConfig&) { return std::filesystem::exists(std::string(300, 'x')); }
int fail_to_look(std::errc reason) {
  throw std::filesystem::filesystem_error("cannot look", "some/file", std::make_error_code(reason));
}
int fill_up(ProbeConfig&) { return fail_to_look(std::errc::no_space_on_device); }
int be_denied(ProbeConfig&) { return fail_to_look(std::errc::permission_denied); }
int make_absolute(ProbeConfig&) { return std::filesystem::absolute("some/file").empty(); }
int print_line(ProbeConfig& config) {
  print_result("{}\n", "printed");
  return config.code;
}
/// In a folder of its own.
int write_file(ProbeConfig&) {
  const TemporaryFolder folder;
  write_new_file(folder / "large", std::string(100'000, 'x'));
  return 0;
}
int take_a_stream(ProbeConfig&) { return ::open("/dev/null", O_WRONLY) <= STDERR_FILENO; }
int return_code(ProbeConfig& config) { return config.code; }

Command probe(std::string name, Ranks ranks, int (*run)(ProbeConfig&)) {
  return command<ProbeConfig>(std::move(name), "Fails.", "none", ranks, probe_options,
                              [run](ProbeConfig& config, const OptionTable&) { return run(config); });
}

}  // namespace

int main(int argc, char** argv) {
  const std::vector<Command> commands = {
      probe("early", Ranks::any, fail_early),
      probe("everywhere", Ranks::any, fail_everywhere),
      probe("one", Ranks::any, fail_on_one),
      probe("single", Ranks::one, return_code),
      probe("foreign", Ranks::any, throw_foreign),
      probe("memory", Ranks::any, run_out_of_memory),
      probe("return", Ranks::any, return_code),
      probe("length", Ranks::any, ask_for_too_much),
      probe("thread", Ranks::any, run_out_of_threads),
      probe("long-name", Ranks::any, look_at_a_long_name),
      probe("full", Ranks::any, fill_up),
      probe("denied", Ranks::any, be_denied),
      probe("relative", Ranks::any, make_absolute),
      probe("print", Ranks::any, print_line),
      probe("write", Ranks::any, write_file),
      probe("number", Ranks::any, take_a_stream),
  };
  return run_command(commands, {argv + 1, argv + argc});
}
