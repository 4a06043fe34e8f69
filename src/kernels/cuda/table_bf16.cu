// Compiles the GPU kernels for bf16.
#include "kernels/cuda/cuda_kernels.cuh"
#include "kernels/cuda/cuda_table.h"

namespace expunge::cuda {

template <>
const Kernels<bf16>& kernels() {
  return kKernels<bf16>;
}

}  // namespace expunge::cuda
