// For tests: the time that a process has computed.
#pragma once

#include <time.h>

namespace expunge {

/// Seconds of processor that this process has used: what else the machine does counts little.
inline double processor_seconds() {
  timespec time{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

}  // namespace expunge
