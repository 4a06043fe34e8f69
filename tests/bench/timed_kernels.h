// What the kernels of this process cost so far.
#pragma once

#include "bench/cost.h"

namespace expunge::bench {

/// Calls since the last take_costs(), by kernel.
CostByKernel take_costs();

}  // namespace expunge::bench
