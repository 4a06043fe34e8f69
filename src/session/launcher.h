// What the launcher (mpirun, srun) tells a process before MPI starts, and how a process of a job reports its failure.
#pragma once

#include <functional>

namespace expunge {

/// Place among the processes that were launched together.
struct Place {
  int rank = 0;
  int size = 1;
};

/// From the environment of Open MPI, PMIx or Slurm; {0, 1} under no launcher.
Place launched_place();
/// The same among those of this node.
Place launched_place_on_node();

/// Runs `work`. An exception becomes a message on standard error and its exit code: of an Error its own, usage where memory,
/// threads or the working folder are missing, bad_input or output for a path, internal for all others. While MPI is active,
/// every rank reports, by name, and then ends the job: rank 0 at once, the others a little later, so that what all of them meet
/// is said once. Before that, a wrong command line is the same for all and is reported by rank 0 alone.
int guarded(Place place, const std::function<int()>& work);

}  // namespace expunge
