// Compiles the GPU kernels for float.
#include "kernels/cuda/cuda_kernels.cuh"
#include "kernels/cuda/cuda_table.h"

namespace expunge::cuda {

template <>
const Kernels<float>& kernels() {
  return kKernels<float>;
}

}  // namespace expunge::cuda
