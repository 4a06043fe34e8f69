// Checks that the processor supports the instructions of this build.
#pragma once

namespace expunge {

/// Throws Error(usage) that names the missing parts of x86-64-v3, which every CPU kernel may use. Code that runs before this
/// check must use baseline x86-64 only. Processors of other families always pass.
void check_processor();

/// Whether the processor and its system support x86-64-v4: AVX-512 F, BW, CD, DQ and VL.
bool has_avx512();

}  // namespace expunge
