// Starts MPI, and computes the number of threads per rank.
#include "comm/mpi_environment.h"

#include <fmt/format.h>
#include <mpi.h>
#include <sched.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <limits>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "core/text.h"
#include "expunge/error.h"

namespace expunge {
namespace {

/// Ends the process unless stopped in time. MPI_Init has no timeout, and before it ends no rank knows the others.
void watch_start(const std::stop_token& stop, double timeout_s) {
  std::mutex mutex;
  std::condition_variable_any never;
  std::unique_lock lock(mutex);
  if (never.wait_for(lock, stop, std::chrono::duration<double>(timeout_s), [&] { return stop.stop_requested(); })) return;
  const char* const rank = std::getenv("PMIX_RANK");  // set by mpirun and srun
  // Launchers end a job at its first failed process, so the other ranks let the first one report.
  std::this_thread::sleep_for(std::chrono::milliseconds(50 * std::clamp(rank ? std::atoi(rank) : 0, 0, 20)));
  std::fputs(fmt::format("expunge: error on rank {}: MPI did not connect the ranks within {:.0f} s: one did not start, or "
                         "ended during its start; see the launcher's messages\n",
                         rank ? rank : "0", timeout_s)
                 .c_str(),
             stderr);
  std::fflush(stderr);
  std::_Exit(static_cast<int>(ExitCode::collective));
}

/// Sets Open MPI up for a process without a launcher: no network and no daemon (orted), which take 0.3 s to start. Keeps the
/// user's settings.
void start_alone() {
  for (const char* of_launcher : {"OMPI_COMM_WORLD_RANK", "PMIX_RANK", "PMI_RANK", "SLURM_PROCID"})
    if (std::getenv(of_launcher)) return;
  setenv("OMPI_MCA_pml", "ob1", 0);
  setenv("OMPI_MCA_ess_singleton_isolated", "1", 0);
  // Otherwise all such processes share one folder in /tmp, and one that ends removes it while another starts.
  setenv("OMPI_MCA_orte_create_session_dirs", "false", 0);
}

struct Launcher {
  const char *size, *rank;  // environment variables: size of the job, rank of this process
  const char* name;
  const char* further = nullptr;  // must also be set if the others alone are ambiguous
};
constexpr Launcher kLaunchers[] = {
    {"OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_RANK", "Open MPI's mpirun"},
    {"PMI_SIZE", "PMI_RANK", "the mpiexec of MPICH, Intel MPI or another with PMI"},
    {"PMIX_SIZE", "PMIX_RANK", "a launcher with PMIx"},
    {"MV2_COMM_WORLD_SIZE", "MV2_COMM_WORLD_RANK", "MVAPICH's mpirun"},
    {"MPI_LOCALNRANKS", "MPI_LOCALRANKID", "the mpiexec of MPICH or Intel MPI"},
    {"FLUX_JOB_SIZE", "FLUX_TASK_RANK", "flux run"},
    {"PALS_SIZE", "PALS_RANKID", "PALS's mpiexec"},
    {"PALS_LOCAL_SIZE", "PALS_LOCAL_RANKID", "PALS's mpiexec"},
    {"SLURM_STEP_NUM_TASKS", "SLURM_PROCID", "srun"},
    {"WORLD_SIZE", "RANK", "torchrun", "LOCAL_RANK"},
};

std::optional<std::int64_t> whole_number(const char* variable) {
  const char* const text = std::getenv(variable);
  return text ? parse_whole(text) : std::nullopt;
}

/// Refuses a launcher of another MPI, because each of its processes would consider itself the whole job.
void refuse_other_launcher(int found) {
  const Launcher* other = nullptr;
  for (const Launcher& launcher : kLaunchers) {
    const auto size = whole_number(launcher.size), rank = whole_number(launcher.rank);
    if (!size || !rank || *size < 0 || *rank < 0 || (launcher.further && !std::getenv(launcher.further))) continue;
    // The inner launcher counts: Slurm's variables stay set inside its mpirun.
    if (*size == found && (found > 1 || &launcher == kLaunchers)) return;
    if (!other && *size > found && *rank < *size) other = &launcher;
  }
  if (!other) return;
  fail(
      ExitCode::usage,
      fmt::format(
          "{} started this process as number {} of {} ({}={}), but MPI found {} of them: that launcher does not belong to the "
          "Open MPI that this program uses; use the mpirun of that Open MPI, or srun --mpi=pmix",
          other->name, *whole_number(other->rank), *whole_number(other->size), other->size, *whole_number(other->size), found));
}

}  // namespace

MpiEnvironment::MpiEnvironment(double timeout_s) {
  const std::jthread watch(watch_start, timeout_s);
  start_alone();
  int provided = 0;
  if (MPI_Init_thread(nullptr, nullptr, MPI_THREAD_MULTIPLE, &provided) != MPI_SUCCESS)
    fail(ExitCode::internal, "MPI could not be initialised");
  if (provided < MPI_THREAD_MULTIPLE)
    fail(ExitCode::usage, "this MPI library offers no MPI_THREAD_MULTIPLE, which expunge needs; use an Open MPI built with it");
  MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN);
  MPI_Comm_rank(MPI_COMM_WORLD, &rank_);
  MPI_Comm_size(MPI_COMM_WORLD, &size_);
  refuse_other_launcher(size_);
  MPI_Comm host = MPI_COMM_NULL;
  MPI_Comm_split_type(MPI_COMM_WORLD, MPI_COMM_TYPE_SHARED, rank_, MPI_INFO_NULL, &host);
  MPI_Comm_rank(host, &local_rank_);
  MPI_Comm_size(host, &local_size_);
  MPI_Comm_free(&host);
}

MpiEnvironment::~MpiEnvironment() {
  if (active()) MPI_Finalize();
}

bool MpiEnvironment::active() {
  int begun = 0, ended = 0;
  MPI_Initialized(&begun);
  MPI_Finalized(&ended);
  return begun && !ended;
}

void MpiEnvironment::abort(int code) {
  MPI_Abort(MPI_COMM_WORLD, code);
  std::_Exit(code);
}

int threads_per_rank(const MpiEnvironment& mpi) {
  if (const char* set = std::getenv("OMP_NUM_THREADS")) {
    constexpr long kMost = 4096;
    const long threads = std::strtol(set, nullptr, 10);  // the first of a list; the largest long on overflow
    if (threads < 1 || threads > kMost)
      fail(ExitCode::usage,
           fmt::format("OMP_NUM_THREADS: expected a whole number from 1 to {}, found \"{}\"", kMost, excerpt(set)));
    return static_cast<int>(threads);
  }
  cpu_set_t mine;
  CPU_ZERO(&mine);
  check(sched_getaffinity(0, sizeof(mine), &mine) == 0, "sched_getaffinity");
  const int cores = CPU_COUNT(&mine);
  // Ranks bound to their own cores use all of them; ranks with the same cores share them.
  MPI_Comm host = MPI_COMM_NULL;
  MPI_Comm_split_type(MPI_COMM_WORLD, MPI_COMM_TYPE_SHARED, mpi.rank(), MPI_INFO_NULL, &host);
  std::vector<cpu_set_t> all(static_cast<std::size_t>(mpi.local_size()));
  MPI_Allgather(&mine, sizeof(mine), MPI_BYTE, all.data(), sizeof(mine), MPI_BYTE, host);
  MPI_Comm_free(&host);
  const auto sharers =
      std::count_if(all.begin(), all.end(), [&](const cpu_set_t& other) { return CPU_EQUAL(&mine, &other) != 0; });
  return std::max(1, cores / static_cast<int>(sharers));
}

}  // namespace expunge
