// Compiles the GPU kernels for double.
#include "kernels/cuda/cuda_kernels.cuh"
#include "kernels/cuda/cuda_table.h"

namespace expunge::cuda {

template <>
const Kernels<double>& kernels() {
  return kKernels<double>;
}

}  // namespace expunge::cuda
