// Reading the launcher's environment; reporting failures.
#include "app/launcher.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <initializer_list>
#include <new>
#include <string>
#include <thread>

#include "app/options_values.h"
#include "expunge/comm/mpi_environment.h"
#include "expunge/core/error.h"

namespace expunge {
namespace {

/// The first of the variables that holds a number; `otherwise` where none does.
int first_number(std::initializer_list<const char*> names, int otherwise) {
  for (const char* name : names)
    if (const char* text = std::getenv(name))
      if (const auto number = parse_whole(text); number && *number >= 0 && *number < kMostWhole)
        return static_cast<int>(*number);
  return otherwise;
}

int report(Place place, ExitCode code, const std::string& message) {
  const bool in_mpi = MpiEnvironment::active();
  const int status = static_cast<int>(code);
  // A launcher ends a job at its first failed process: the others leave rank 0 the time to speak and to be heard.
  constexpr std::chrono::milliseconds kHeard{100};
  if (place.rank > 0) std::this_thread::sleep_for(2 * kHeard + std::chrono::milliseconds(50 * std::min(place.rank, 20)));
  const bool same_for_all = !in_mpi && code == ExitCode::usage;
  if (place.rank == 0 || !same_for_all) {
    const std::string where = place.size > 1 && !same_for_all ? fmt::format(" on rank {} of {}", place.rank, place.size) : "";
    std::fputs(fmt::format("expunge: error{}: {}\n", where, message).c_str(), stderr);
  }
  std::fflush(nullptr);
  // A rank alone ends in order; MPI_Abort would add a message of its own.
  if (!in_mpi || place.size == 1) return status;
  // srun, as it ends the step, may drop what it has not passed on yet.
  std::this_thread::sleep_for(kHeard);
  MpiEnvironment::abort(status);
}

}  // namespace

Place launched_place() {
  const int rank = first_number({"OMPI_COMM_WORLD_RANK", "PMIX_RANK", "SLURM_PROCID"}, 0);
  const int size = first_number({"OMPI_COMM_WORLD_SIZE", "SLURM_STEP_NUM_TASKS"}, 1);
  return {rank, std::max(size, rank + 1)};
}

int guarded(Place place, const std::function<int()>& work) {
  try {
    return work();
  } catch (const Error& error) {
    const std::string where = fmt::format(" ({}:{})", error.where().file_name(), error.where().line());
    return report(place, error.code(), error.what() + (error.code() == ExitCode::internal ? where : ""));
  } catch (const std::bad_alloc&) {
    return report(place, ExitCode::internal, "out of memory: give fewer or shorter sequences at a time, or more ranks");
  } catch (const std::exception& error) {
    return report(place, ExitCode::internal, error.what());
  }
}

}  // namespace expunge
