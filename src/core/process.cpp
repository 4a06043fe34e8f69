// Reads the identity of this process from the system and the batch system's environment.
#include "core/process.h"

#include <fmt/chrono.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <ctime>
#include <fstream>

namespace expunge {
namespace {

using Clock = std::chrono::steady_clock;
const Clock::time_point began = Clock::now();

std::string variable(const char* name) {
  const char* const value = std::getenv(name);
  return value ? value : "";
}

}  // namespace

std::string host_name() {
  char name[256] = {};
  gethostname(name, sizeof(name) - 1);
  return name;
}

std::string job_id() {
  const std::string array = variable("SLURM_ARRAY_JOB_ID");
  return array.empty() ? variable("SLURM_JOB_ID") : array + "_" + variable("SLURM_ARRAY_TASK_ID");
}

std::int64_t job_restarts() { return std::atoll(variable("SLURM_RESTART_COUNT").c_str()); }

std::string utc_now() { return fmt::format("{:%Y-%m-%dT%H:%M:%SZ}", fmt::gmtime(std::time(nullptr))); }

std::string describe_process() {
  const std::string job = job_id();
  return fmt::format("process {} on host {}{}, since {}", getpid(), host_name(), job.empty() ? "" : ", job " + job, utc_now());
}

std::int64_t peak_resident_bytes() {
  std::ifstream status("/proc/self/status");
  std::string line;
  while (std::getline(status, line))
    if (line.starts_with("VmHWM:")) return std::stoll(line.substr(6)) * 1024;
  return 0;
}

double seconds_running() { return std::chrono::duration<double>(Clock::now() - began).count(); }

}  // namespace expunge
