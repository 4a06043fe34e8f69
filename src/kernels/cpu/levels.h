// The instruction sets that the CPU kernels are compiled for, and the one that serves this processor.
#pragma once

#include <string>
#include <string_view>
#include <tuple>

#include "expunge/kernels.h"

namespace expunge::cpu {

/// The kernels as compiled for one instruction set.
struct Level {
  std::string_view name;  ///< "AVX2"
  std::tuple<const Kernels<float>*, const Kernels<bf16>*, const Kernels<double>*> kernels;
  bool (*has_bf16_products)();
};

/// The highest that the processor has and oneDNN allows itself.
const Level& level();

/// What cpu_kernels() returns.
std::string name_kernels();

}  // namespace expunge::cpu
