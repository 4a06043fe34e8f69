// The GPUs of this process, and their memory.
#include "core/cuda/cuda_device.h"

#include <cuda_runtime.h>
#include <fmt/format.h>

#include <map>
#include <string>

#include "core/block_pool.h"
#include "core/cuda/cuda_stream.h"
#include "expunge/error.h"

namespace expunge {
namespace cuda {
namespace {

/// Blocks of a GPU. A block may be freed while enqueued work still uses it. That is safe: the next owner's work follows in
/// the same compute stream, and events order the communication stream after it.
struct DeviceMemory {
  static std::size_t round(std::size_t bytes) {
    const std::size_t unit = bytes >= kLarge ? kLarge : kSmall;
    return (bytes + unit - 1) / unit * unit;
  }
  template <typename ReleaseFree>
  static void* allocate(std::size_t size, ReleaseFree release_free) {
    void* block = nullptr;
    if (cudaMalloc(&block, size) == cudaSuccess) return block;
    (void)cudaGetLastError();  // the error would stay set otherwise
    release_free();
    if (cudaMalloc(&block, size) == cudaSuccess) return block;
    (void)cudaGetLastError();
    std::size_t free = 0, total = 0;
    must(cudaMemGetInfo(&free, &total), "cudaMemGetInfo");
    constexpr double kGib = 1 << 30;
    fail(ExitCode::usage,
         fmt::format("the GPU has no room for another {:.2f} GiB ({:.2f} of {:.2f} GiB are free): use more ranks, a smaller "
                     "--micro-batch-tokens, --recompute block or --gather per-micro-step",
                     static_cast<double>(size) / kGib, static_cast<double>(free) / kGib, static_cast<double>(total) / kGib));
  }
  static void release(void* block) { (void)cudaFree(block); }

 private:
  static constexpr std::size_t kSmall = 512, kLarge = std::size_t{2} << 20;
};

/// Pools are never destroyed: buffers of static lifetime may outlive any order of destruction.
BlockPool<DeviceMemory>& pool(int index) {
  static auto* mutex = new std::mutex;
  static auto* pools = new std::map<int, BlockPool<DeviceMemory>>;
  const std::lock_guard lock(*mutex);
  return (*pools)[index];
}

}  // namespace

void* pool_allocate(int index, std::size_t bytes) { return pool(index).allocate(bytes); }
void pool_free(int index, void* block) { pool(index).release(block); }
PoolUse pool_use(int index) { return pool(index).use(); }

}  // namespace cuda

std::string cuda_version() { return fmt::format("{}.{}", CUDART_VERSION / 1000, CUDART_VERSION % 1000 / 10); }

// Measured with CUDA 13.0: pages of cublasLt and of the runtime that loading touches.
std::size_t cuda_library_bytes() { return 157'000'000; }

CudaDevices cuda_devices() {
  int count = 0;
  const cudaError_t code = cudaGetDeviceCount(&count);
  if (code == cudaSuccess && count > 0) return {count, {}};
  (void)cudaGetLastError();
  return {0, code == cudaSuccess ? "no GPU is visible" : cudaGetErrorString(code)};
}

CudaDeviceInfo cuda_device_info(int index) {
  cudaDeviceProp properties{};
  cuda::must(cudaGetDeviceProperties(&properties, index), "cudaGetDeviceProperties");
  cuda::must(cudaSetDevice(index), "cudaSetDevice");
  std::size_t free = 0, total = 0;
  cuda::must(cudaMemGetInfo(&free, &total), "cudaMemGetInfo");
  std::string uuid = "GPU";
  for (std::size_t i = 0; i < sizeof(properties.uuid.bytes); ++i)
    uuid += fmt::format("{}{:02x}", i == 0 || i == 4 || i == 6 || i == 8 || i == 10 ? "-" : "",
                        static_cast<unsigned char>(properties.uuid.bytes[i]));
  return {properties.name, uuid, properties.major, properties.minor, properties.multiProcessorCount, total, free};
}

}  // namespace expunge
