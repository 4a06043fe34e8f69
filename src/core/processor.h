// What the processor has of the instructions that the program is compiled for.
#pragma once

namespace expunge {

/// Throws Error(usage) that names what this processor or its system lacks of x86-64-v3, which every CPU kernel may use. Nothing
/// that runs before it may need more than the least x86-64. Processors of other families lack nothing.
void check_processor();

/// Whether they have x86-64-v4: AVX-512 F, BW, CD, DQ and VL.
bool has_avx512();

}  // namespace expunge
