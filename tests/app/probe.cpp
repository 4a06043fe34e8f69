// A program with commands that fail in chosen ways, for tests of messages and exit codes.
#include <chrono>
#include <functional>
#include <new>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "app/options_values.h"
#include "app/run_command.h"
#include "expunge/comm/mpi_environment.h"
#include "expunge/core/error.h"

namespace {

using namespace expunge;

struct ProbeConfig {
  int rank = 0;
  int code = 3;
};

OptionTable probe_options(ProbeConfig& config) {
  OptionTable table("probe");
  table.group("Options", {required(whole("code", config.code, 0, "exit code")), whole("rank", config.rank, 0, "who fails")});
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
int return_code(ProbeConfig& config) { return config.code; }

Command probe(std::string name, Ranks ranks, int (*run)(ProbeConfig&)) {
  return command<ProbeConfig>(std::move(name), "Fails.", "none", ranks, probe_options,
                              [run](ProbeConfig& config, const OptionTable&) { return run(config); });
}

}  // namespace

int main(int argc, char** argv) {
  const std::vector<Command> commands = {
      probe("early", Ranks::any, fail_early),      probe("everywhere", Ranks::any, fail_everywhere),
      probe("one", Ranks::any, fail_on_one),       probe("single", Ranks::one, return_code),
      probe("foreign", Ranks::any, throw_foreign), probe("memory", Ranks::any, run_out_of_memory),
      probe("return", Ranks::any, return_code),
  };
  return run_command(commands, {argv + 1, argv + argc});
}
