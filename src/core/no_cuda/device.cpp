// Stands in for core/cuda in a build without CUDA: every use of a GPU fails with a message.
#include "core/cuda/cuda_device.h"
#include "expunge/error.h"

namespace expunge {
namespace {

constexpr const char* kProblem = "this build has no CUDA back end (nvcc was not found)";

}  // namespace

CudaDevices cuda_devices() { return {0, kProblem}; }
std::string cuda_version() { return ""; }
std::size_t cuda_library_bytes() { return 0; }
CudaDeviceInfo cuda_device_info(int) { fail(ExitCode::usage, kProblem); }
std::unique_ptr<Stream> make_cuda_stream(int, Urgency) { fail(ExitCode::usage, kProblem); }

namespace cuda {

void* pool_allocate(int, std::size_t) { fail(ExitCode::usage, kProblem); }
void pool_free(int, void*) { fail(ExitCode::usage, kProblem); }
PoolUse pool_use(int) { fail(ExitCode::usage, kProblem); }
void copy_bytes(Stream&, void*, const void*, std::size_t) { fail(ExitCode::usage, kProblem); }
void copy_to_device(Stream&, void*, const void*, std::size_t) { fail(ExitCode::usage, kProblem); }
void copy_to_host(Stream&, void*, const void*, std::size_t) { fail(ExitCode::usage, kProblem); }
void zero_bytes(Stream&, void*, std::size_t) { fail(ExitCode::usage, kProblem); }

}  // namespace cuda
}  // namespace expunge
