// Starting a job: MPI, threads, streams.
#include "expunge/train/session.h"

#include <fmt/format.h>
#include <omp.h>

#include <cstdlib>
#include <fstream>

#include "expunge/core/error.h"
#include "expunge/core/log.h"

namespace expunge {
namespace {

Device resolve_device(const std::string& name) {
  if (name == "cuda") fail(ExitCode::usage, "--device cuda: this build has no CUDA back end; use --device cpu or auto");
  return {};
}

/// srun without PMIx starts every task as a job of its own, all of which would write one run folder.
void refuse_lone_ranks(int world_size) {
  const char* tasks = std::getenv("SLURM_STEP_NUM_TASKS");
  if (tasks && std::atoi(tasks) > 1 && world_size == 1)
    fail(ExitCode::usage, fmt::format("Slurm started {} tasks but MPI sees one rank; start with srun --mpi=pmix", tasks));
}

}  // namespace

Session::Session(const std::string& device, bool quiet, double collective_timeout_s)
    : threads_(threads_per_rank(mpi_)),
      comm_(make_mpi_communicator(collective_timeout_s)),
      runtime_{resolve_device(device), *compute_, *communication_, *comm_} {
  refuse_lone_ranks(mpi_.size());
  omp_set_num_threads(threads_);
  log_setup(mpi_.rank(), mpi_.size(), quiet);
}

std::size_t Session::available_memory() const {
  std::ifstream file("/proc/meminfo");
  std::string key, unit;
  std::size_t kib = 0;
  while (file >> key >> kib >> unit)
    if (key == "MemAvailable:") return kib * 1024 / static_cast<std::size_t>(mpi_.local_size());
  return 0;
}

}  // namespace expunge
