// Stands in for the GPU kernels in a build without CUDA: every use fails with a message.
#include "expunge/error.h"
#include "kernels/cuda/cuda_table.h"

namespace expunge::cuda {
namespace {

[[noreturn]] void refuse() { fail(ExitCode::usage, "this build has no CUDA back end (nvcc was not found); use --device cpu"); }

}  // namespace

template <>
const Kernels<float>& kernels() {
  refuse();
}
template <>
const Kernels<bf16>& kernels() {
  refuse();
}
template <>
const Kernels<double>& kernels() {
  refuse();
}
void set_tf32(bool) { refuse(); }

}  // namespace expunge::cuda

namespace expunge {

void sum_parts(Stream&, float*, const bf16*, int, std::size_t) {
  fail(ExitCode::usage, "this build has no CUDA back end (nvcc was not found); use --device cpu");
}

}  // namespace expunge
