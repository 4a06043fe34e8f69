// CUDA's runtime and cuBLASLt for kernels that run on the host.
#include <cublasLt.h>
#include <cuda_runtime.h>

#include <cstdlib>
#include <cstring>

#include "expunge/core/dtype.h"

struct EmulatedStream {};
struct EmulatedEvent {};

const char* cudaGetErrorString(cudaError_t) { return "emulated error"; }
cudaError_t cudaGetLastError() { return cudaSuccess; }
cudaError_t cudaGetDeviceCount(int* count) {
  *count = 1;
  return cudaSuccess;
}
cudaError_t cudaGetDeviceProperties(cudaDeviceProp* properties, int) {
  *properties = {"emulated", {}, 9, 0, 1};
  return cudaSuccess;
}
cudaError_t cudaSetDevice(int) { return cudaSuccess; }
cudaError_t cudaMemGetInfo(std::size_t* free, std::size_t* total) {
  *free = *total = std::size_t{1} << 30;
  return cudaSuccess;
}
cudaError_t cudaMalloc(void** to, std::size_t bytes) {
  *to = std::aligned_alloc(512, (bytes + 511) / 512 * 512);
  if (!*to) return cudaErrorMemoryAllocation;
  std::memset(*to, 0xff, bytes);  // not a number: what nobody wrote shows
  return cudaSuccess;
}
cudaError_t cudaFree(void* p) {
  std::free(p);
  return cudaSuccess;
}
cudaError_t cudaMallocHost(void** to, std::size_t bytes) { return cudaMalloc(to, bytes); }
cudaError_t cudaFreeHost(void* p) { return cudaFree(p); }
cudaError_t cudaMemcpyAsync(void* to, const void* from, std::size_t bytes, cudaMemcpyKind, cudaStream_t) {
  std::memmove(to, from, bytes);
  return cudaSuccess;
}
cudaError_t cudaMemsetAsync(void* to, int value, std::size_t bytes, cudaStream_t) {
  std::memset(to, value, bytes);
  return cudaSuccess;
}
cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned) {
  *stream = new EmulatedStream;
  return cudaSuccess;
}
cudaError_t cudaStreamDestroy(cudaStream_t stream) {
  delete stream;
  return cudaSuccess;
}
cudaError_t cudaStreamSynchronize(cudaStream_t) { return cudaSuccess; }
cudaError_t cudaStreamWaitEvent(cudaStream_t, cudaEvent_t, unsigned) { return cudaSuccess; }
cudaError_t cudaLaunchHostFunc(cudaStream_t, void (*work)(void*), void* data) {
  work(data);
  return cudaSuccess;
}
cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned) {
  *event = new EmulatedEvent;
  return cudaSuccess;
}
cudaError_t cudaEventRecord(cudaEvent_t, cudaStream_t) { return cudaSuccess; }
cudaError_t cudaEventSynchronize(cudaEvent_t) { return cudaSuccess; }
cudaError_t cudaEventDestroy(cudaEvent_t event) {
  delete event;
  return cudaSuccess;
}
cudaError_t cudaFuncSetAttribute(const void*, int, int) { return cudaSuccess; }

namespace {

double element(const void* data, const cublasLtMatrixLayoutOpaque_t& m, std::uint64_t row, std::uint64_t column) {
  const std::uint64_t at = column * static_cast<std::uint64_t>(m.stride) + row;
  switch (m.type) {
    case CUDA_R_32F:
      return static_cast<const float*>(data)[at];
    case CUDA_R_16BF:
      return static_cast<const expunge::bf16*>(data)[at];
    case CUDA_R_64F:
      return static_cast<const double*>(data)[at];
  }
  return 0;
}

void set_element(void* data, const cublasLtMatrixLayoutOpaque_t& m, std::uint64_t row, std::uint64_t column, double value) {
  const std::uint64_t at = column * static_cast<std::uint64_t>(m.stride) + row;
  if (m.type == CUDA_R_32F)
    static_cast<float*>(data)[at] = static_cast<float>(value);
  else if (m.type == CUDA_R_16BF)
    static_cast<expunge::bf16*>(data)[at] = expunge::bf16(static_cast<float>(value));
  else
    static_cast<double*>(data)[at] = value;
}

}  // namespace

const char* cublasLtGetStatusString(cublasStatus_t) { return "emulated status"; }
cublasStatus_t cublasLtCreate(cublasLtHandle_t*) { return CUBLAS_STATUS_SUCCESS; }
cublasStatus_t cublasLtMatmulDescCreate(cublasLtMatmulDesc_t* made, cublasComputeType_t, cudaDataType_t) {
  *made = new cublasLtMatmulDescOpaque_t{};
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatmulDescDestroy(cublasLtMatmulDesc_t p) {
  delete p;
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatmulDescSetAttribute(cublasLtMatmulDesc_t p, cublasLtMatmulDescAttributes_t which, const void* value,
                                              std::size_t) {
  p->operations[which] = *static_cast<const cublasOperation_t*>(value);
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatrixLayoutCreate(cublasLtMatrixLayout_t* made, cudaDataType_t type, std::uint64_t rows,
                                          std::uint64_t columns, std::int64_t stride) {
  *made = new cublasLtMatrixLayoutOpaque_t{type, rows, columns, stride};
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatrixLayoutDestroy(cublasLtMatrixLayout_t p) {
  delete p;
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatmulPreferenceCreate(cublasLtMatmulPreference_t* made) {
  *made = new cublasLtMatmulPreferenceOpaque_t;
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatmulPreferenceDestroy(cublasLtMatmulPreference_t p) {
  delete p;
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatmulPreferenceSetAttribute(cublasLtMatmulPreference_t, cublasLtMatmulPreferenceAttributes_t,
                                                    const void*, std::size_t) {
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatmulAlgoGetHeuristic(cublasLtHandle_t, cublasLtMatmulDesc_t, cublasLtMatrixLayout_t,
                                              cublasLtMatrixLayout_t, cublasLtMatrixLayout_t, cublasLtMatrixLayout_t,
                                              cublasLtMatmulPreference_t, int, cublasLtMatmulHeuristicResult_t*, int* found) {
  *found = 1;
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatmul(cublasLtHandle_t, cublasLtMatmulDesc_t p, const void*, const void* a, cublasLtMatrixLayout_t a_at,
                              const void* b, cublasLtMatrixLayout_t b_at, const void* beta, const void* c,
                              cublasLtMatrixLayout_t c_at, void* d, cublasLtMatrixLayout_t d_at, const cublasLtMatmulAlgo_t*,
                              void*, std::size_t, cudaStream_t) {
  const bool flip_a = p->operations[0] == CUBLAS_OP_T, flip_b = p->operations[1] == CUBLAS_OP_T;
  const std::uint64_t depth = flip_a ? a_at->rows : a_at->columns;
  if ((flip_a ? a_at->columns : a_at->rows) != d_at->rows || (flip_b ? b_at->rows : b_at->columns) != d_at->columns ||
      (flip_b ? b_at->columns : b_at->rows) != depth)
    return CUBLAS_STATUS_INVALID_VALUE;
  const bool add = a_at->type == CUDA_R_64F ? *static_cast<const double*>(beta) != 0 : *static_cast<const float*>(beta) != 0;
  for (std::uint64_t column = 0; column < d_at->columns; ++column)
    for (std::uint64_t row = 0; row < d_at->rows; ++row) {
      double sum = add ? element(c, *c_at, row, column) : 0;
      for (std::uint64_t k = 0; k < depth; ++k)
        sum += (flip_a ? element(a, *a_at, k, row) : element(a, *a_at, row, k)) *
               (flip_b ? element(b, *b_at, column, k) : element(b, *b_at, k, column));
      set_element(d, *d_at, row, column, sum);
    }
  return CUBLAS_STATUS_SUCCESS;
}
