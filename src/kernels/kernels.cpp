// Selects the back end of a device.
#include "expunge/kernels.h"

#include <tuple>

#include "expunge/error.h"
#include "kernels/cpu/levels.h"
#include "kernels/cuda/cuda_table.h"

namespace expunge {

template <Element T>
const Kernels<T>& kernels(Device device) {
  switch (device.type) {
    case DeviceType::cpu:
      return *std::get<const Kernels<T>*>(cpu::level().kernels);
    case DeviceType::cuda:
      return cuda::kernels<T>();
  }
  fail(ExitCode::internal, "device without a type");
}
template const Kernels<float>& kernels(Device);
template const Kernels<bf16>& kernels(Device);
template const Kernels<double>& kernels(Device);

void use_tf32() { cuda::set_tf32(true); }
bool has_bf16_products(DeviceType device) { return device == DeviceType::cuda || cpu::level().has_bf16_products(); }
std::string cpu_kernels() { return cpu::name_kernels(); }

}  // namespace expunge
