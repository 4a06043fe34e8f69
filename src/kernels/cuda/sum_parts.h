// Adding up what ranks sent, on the GPU.
#pragma once

#include <cstddef>

#include "expunge/core/device.h"
#include "expunge/core/dtype.h"

namespace expunge {

/// sum[i] = parts[0][i] + parts[1][i] + ... in this order, in fp32. sum (n), parts (ranks, n)
void sum_parts(Stream& stream, float* sum, const bf16* parts, int ranks, std::size_t n);

}  // namespace expunge
