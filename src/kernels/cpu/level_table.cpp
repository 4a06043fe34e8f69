// The kernels of one instruction set, compiled once per set with its own compiler options.
#include "kernels/cpu/cpu_kernels.h"
#include "kernels/cpu/levels.h"

namespace expunge::cpu::EXPUNGE_CPU_LEVEL {

extern const Level kLevel;
// Constant-initialised: no code of this file may run before main() has checked the processor.
constinit const Level kLevel {
#if defined(__AVX512F__)
  "AVX-512",
#elif defined(__AVX2__)
  "AVX2",
#elif defined(__ARM_NEON)
  "NEON",
#else
  "baseline",
#endif
      {&kKernels<float>, &kKernels<bf16>, &kKernels<double>}, has_bf16_products
};

}  // namespace expunge::cpu::EXPUNGE_CPU_LEVEL
