// Reads the launcher's environment and reports failures.
#include "session/launcher.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <climits>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <initializer_list>
#include <limits>
#include <new>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>
#include <thread>

#include "comm/mpi_environment.h"
#include "core/text.h"
#include "expunge/error.h"

namespace expunge {
namespace {

/// The first of the variables that holds a number; `otherwise` if none does.
int first_number(std::initializer_list<const char*> names, int otherwise) {
  for (const char* name : names)
    if (const char* text = std::getenv(name))
      if (const auto number = parse_whole(text); number && *number >= 0 && *number < std::numeric_limits<int>::max())
        return static_cast<int>(*number);
  return otherwise;
}

int report(LaunchInfo launched, ExitCode code, const std::string& message) {
  const bool in_mpi = MpiEnvironment::active();
  const int status = static_cast<int>(code);
  // A launcher ends a job at its first failed process, so the other ranks give rank 0 time to report.
  constexpr std::chrono::milliseconds kHeard{100};
  if (launched.rank > 0) std::this_thread::sleep_for(2 * kHeard + std::chrono::milliseconds(50 * std::min(launched.rank, 20)));
  const bool same_for_all = !in_mpi && code == ExitCode::usage;
  if (launched.rank == 0 || !same_for_all) {
    const std::string where =
        launched.size > 1 && !same_for_all ? fmt::format(" on rank {} of {}", launched.rank, launched.size) : "";
    std::fputs(fmt::format("expunge: error{}: {}\n", where, message).c_str(), stderr);
  }
  std::fflush(nullptr);
  // A lone rank returns normally; MPI_Abort would print a message of its own.
  if (!in_mpi || launched.size == 1) return status;
  // srun may drop unforwarded output when it ends the step.
  std::this_thread::sleep_for(kHeard);
  MpiEnvironment::abort(status);
}

constexpr std::string_view kOutOfMemory =
    "out of memory: allow more (ulimit -v, --mem of Slurm), start more ranks, which share the model, or give smaller "
    "--micro-batch-tokens, --per-device-train-batch-size or --per-device-eval-batch-size";
constexpr std::string_view kNoThread =
    "no further thread can be started: allow more threads or memory (ulimit -u, ulimit -v), or set OMP_NUM_THREADS lower";

/// Whether a path failed because it is relative to a removed working folder.
bool without_working_folder(const std::filesystem::path& path) {
  std::error_code gone;
  (void)std::filesystem::current_path(gone);
  return gone && path.is_relative();
}

/// Reports a path error that no caller explained.
int report_path(LaunchInfo launched, const std::filesystem::filesystem_error& error) {
  const std::string path = error.path1().string(), why = error.code().message();
  if (without_working_folder(error.path1()))
    return report(launched, ExitCode::usage,
                  fmt::format("{}: a relative path, and the working folder is gone ({}); go to a folder that is there, or give "
                              "absolute paths",
                              path, why));
  if (error.code() == std::errc::filename_too_long)
    return report(launched, ExitCode::bad_input,
                  fmt::format("{}: {}: a name may have {} bytes and a path {}; give a shorter one", excerpt(path), why,
                              NAME_MAX, PATH_MAX - 1));
  for (const std::errc full : {std::errc::no_space_on_device, std::errc::file_too_large, std::errc::read_only_file_system})
    if (error.code() == full) return report(launched, ExitCode::output, fmt::format("{}: {}", path, why));
  return report(launched, ExitCode::bad_input, fmt::format("{}: {}", path, why));
}

}  // namespace

LaunchInfo launch_info() {
  const int rank = first_number({"OMPI_COMM_WORLD_RANK", "PMIX_RANK", "SLURM_PROCID"}, 0);
  const int size = first_number({"OMPI_COMM_WORLD_SIZE", "SLURM_STEP_NUM_TASKS"}, 1);
  return {rank, std::max(size, rank + 1)};
}

LaunchInfo launch_info_on_node() {
  const int rank = first_number({"OMPI_COMM_WORLD_LOCAL_RANK", "SLURM_LOCALID"}, 0);
  return {rank, std::max(first_number({"OMPI_COMM_WORLD_LOCAL_SIZE"}, 1), rank + 1)};
}

int guarded(LaunchInfo launched, const std::function<int()>& work) {
  try {
    return work();
  } catch (const Error& error) {
    const std::string where = fmt::format(" ({}:{})", error.where().file_name(), error.where().line());
    return report(launched, error.code(), error.what() + (error.code() == ExitCode::internal ? where : ""));
  } catch (const std::bad_alloc&) {
    return report(launched, ExitCode::usage, std::string(kOutOfMemory));
  } catch (const std::length_error& error) {
    return report(launched, ExitCode::bad_input,
                  fmt::format("an input file contains an impossible size ({}): it is damaged, create it again", error.what()));
  } catch (const std::filesystem::filesystem_error& error) {
    return report_path(launched, error);
  } catch (const std::system_error& error) {
    const bool limit = error.code() == std::errc::resource_unavailable_try_again;
    return limit ? report(launched, ExitCode::usage, std::string(kNoThread))
                 : report(launched, ExitCode::internal, error.what());
  } catch (const std::exception& error) {
    return report(launched, ExitCode::internal, error.what());
  }
}

}  // namespace expunge
