// The GPU's kernel tables, each compiled once; a build without CUDA links kernels/no_cuda instead.
#pragma once

#include "expunge/kernels.h"

namespace expunge::cuda {

/// For float, bf16 and double.
template <Element T>
const Kernels<T>& kernels();
template <>
const Kernels<float>& kernels();
template <>
const Kernels<bf16>& kernels();
template <>
const Kernels<double>& kernels();

/// Computes float32 products in TensorFloat-32 from now on. Process-wide.
void set_tf32(bool on);

}  // namespace expunge::cuda
