// For tests: the memory that something takes at most.
#pragma once

#include <gtest/gtest.h>

#include <fstream>
#include <string>

namespace expunge {

/// A line of /proc/self/status, in bytes.
inline double status_bytes(const std::string& name) {
  std::ifstream status("/proc/self/status");
  for (std::string word; status >> word;)
    if (double kibibytes = 0; word == name + ":" && status >> kibibytes) return 1024 * kibibytes;
  return 0;
}

/// Bytes of physical memory by which `action` exceeds what the process had before; less where that had been freed.
template <typename Action>
double peak_memory_of(const Action& action) {
  std::ofstream("/proc/self/clear_refs") << "5";  // the peak begins anew
  const double before = status_bytes("VmHWM");
  action();
  return status_bytes("VmHWM") - before;
}

}  // namespace expunge
