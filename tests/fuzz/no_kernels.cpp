// The kernels' place in a build for fuzzing: what reads files computes nothing.
#include "expunge/error.h"
#include "expunge/kernels.h"

namespace expunge {

template <Element T>
const Kernels<T>& kernels(Device) {
  fail(ExitCode::internal, "a fuzz target computes");
}
template const Kernels<float>& kernels(Device);
template const Kernels<bf16>& kernels(Device);
template const Kernels<double>& kernels(Device);

void use_tf32() {}
bool has_bf16_products(DeviceType) { return false; }
std::string cpu_kernels() { return "none"; }
void sum_parts(Stream&, float*, const bf16*, int, std::size_t) {}

}  // namespace expunge
