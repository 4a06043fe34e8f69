// Selects the CPU kernels of this processor for the program's element types.
#include "kernels/cpu/cpu_table.h"

#include "kernels/cpu/levels.h"

namespace expunge::cpu {

template <Element T>
const Kernels<T>& kernels() {
  return *std::get<const Kernels<T>*>(level().kernels);
}
template const Kernels<float>& kernels();
template const Kernels<bf16>& kernels();
template const Kernels<double>& kernels();

}  // namespace expunge::cpu
