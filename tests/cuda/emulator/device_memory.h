// Memory of the emulated GPU, which the host cannot touch: it opens only while a kernel, a copy or a product runs.
#pragma once

#include <cstddef>

namespace expunge::cuda::emulator {

void* allocate_device_memory(std::size_t bytes);
bool is_device_memory(const void* p);
std::size_t free_device_memory();

/// Device memory is open while one lives.
class DeviceAccess {
 public:
  DeviceAccess();
  ~DeviceAccess();
  DeviceAccess(const DeviceAccess&) = delete;
  DeviceAccess& operator=(const DeviceAccess&) = delete;
};

}  // namespace expunge::cuda::emulator
