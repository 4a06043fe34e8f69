// The CPU's kernel tables.
#pragma once

#include "expunge/kernels.h"

namespace expunge::cpu {

/// Instantiated for float, bf16 and double.
template <Element T>
const Kernels<T>& kernels();

}  // namespace expunge::cpu
