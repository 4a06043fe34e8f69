// Instruction sets of the CPU kernels, and the choice for this processor.
#pragma once

#include <string>
#include <string_view>
#include <tuple>

#include "expunge/kernels.h"

namespace expunge::cpu {

/// The kernels compiled for one instruction set.
struct Level {
  std::string_view name;  ///< "AVX2"
  std::tuple<const Kernels<float>*, const Kernels<bf16>*, const Kernels<double>*> kernels;
  bool (*has_bf16_products)();
};

/// The highest level that the processor supports and oneDNN may use.
const Level& level();

/// The result of cpu_kernels().
std::string name_kernels();

}  // namespace expunge::cpu
