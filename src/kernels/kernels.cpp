// Chooses the back end of a device.
#include "expunge/kernels/kernels.h"

#include "expunge/core/error.h"
#include "kernels/cpu/cpu_table.h"

namespace expunge {

template <Element T>
const Kernels<T>& kernels(Device device) {
  switch (device.type) {
    case DeviceType::cpu:
      return cpu::kernels<T>();
    case DeviceType::cuda:
      fail(ExitCode::usage, "this build has no CUDA back end; use --device cpu");
  }
  fail(ExitCode::internal, "device without a type");
}
template const Kernels<float>& kernels(Device);
template const Kernels<bf16>& kernels(Device);
template const Kernels<double>& kernels(Device);

}  // namespace expunge
