// Rank and size from the launcher (mpirun, srun) before MPI starts, and the error report of a process.
#pragma once

#include <functional>

namespace expunge {

/// Rank and size of a process among the processes that were launched together.
struct LaunchInfo {
  int rank = 0;
  int size = 1;
};

/// Reads the environment of Open MPI, PMIx or Slurm; {0, 1} without a launcher.
LaunchInfo launch_info();
/// The same among the processes of this node.
LaunchInfo launch_info_on_node();

/// Runs `work` and returns its exit code. An exception is printed on standard error and becomes an exit code: an Error's own;
/// usage for missing memory, threads or working folder; bad_input or output for a path; internal otherwise. While MPI is
/// active, every rank reports with its name and then ends the job. Rank 0 does so first, so that an error of all ranks
/// appears once. Before MPI starts, only rank 0 reports a wrong command line.
int guarded(LaunchInfo launched, const std::function<int()>& work);

}  // namespace expunge
