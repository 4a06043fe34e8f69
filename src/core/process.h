// Who this process is: what outputs, locks and messages say of it.
#pragma once

#include <cstdint>
#include <string>

namespace expunge {

std::string host_name();
/// The batch system's number of this job (SLURM_JOB_ID, for an array <job>_<task>); empty outside of one.
std::string job_id();
/// How often the batch system has started this job again (SLURM_RESTART_COUNT).
std::int64_t job_restarts();
/// "2026-11-25T09:45:00Z"
std::string utc_now();
/// "process 4711 on host node17, job 12, since 2026-11-25T09:45:00Z", as locks name their holder.
std::string describe_process();
/// Highest resident memory of this process so far, bytes.
std::int64_t peak_resident_bytes();
/// Since this process began, by the clock that no one sets.
double seconds_running();

}  // namespace expunge
