// What the kernels of this process cost so far.
#pragma once

#include "bench/cost.h"

namespace expunge::bench {

/// From now on the CPU's kernels are timed. Once a process, before any is called.
void time_kernels();
/// Calls since the last take_costs(), by kernel.
CostByKernel take_costs();

}  // namespace expunge::bench
