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

/// The one in use: the highest that the processor has and oneDNN allows itself, or what use_level() was given.
const Level& level();
/// From now on `level` serves, which must outlive its use. For what wraps the kernels, as a benchmark does to time them.
void use_level(const Level& level);

/// The result of cpu_kernels().
std::string name_kernels();

}  // namespace expunge::cpu
