// Identity of this process: host, job, restarts, memory, running time.
#pragma once

#include <cstdint>
#include <string>

namespace expunge {

std::string host_name();
/// Id of the batch job (SLURM_JOB_ID; <job>_<task> for an array job); empty outside a job.
std::string job_id();
/// Number of restarts of this job by the batch system (SLURM_RESTART_COUNT).
std::int64_t job_restarts();
/// "2026-11-25T09:45:00Z"
std::string utc_now();
/// "process 4711 on host node17, job 12, since 2026-11-25T09:45:00Z": the holder's name in a lock.
std::string describe_process();
/// Highest resident memory of this process so far, bytes.
std::int64_t peak_resident_bytes();
/// Seconds since this process began, by the monotonic clock.
double seconds_running();

}  // namespace expunge
