// Compiles the CPU kernels for the element types of the program.
#include "kernels/cpu/cpu_table.h"

#include "kernels/cpu/cpu_kernels.h"

namespace expunge::cpu {

template <Element T>
const Kernels<T>& kernels() {
  return kKernels<T>;
}
template const Kernels<float>& kernels();
template const Kernels<bf16>& kernels();
template const Kernels<double>& kernels();

}  // namespace expunge::cpu
