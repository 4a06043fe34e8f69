// cuBLASLt for kernels that run on the host.
#include <cublasLt.h>

#include <cstdlib>

#include "emulator/device_memory.h"
#include "emulator/streams.h"
#include "expunge/dtype.h"

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
                              void*, std::size_t, cudaStream_t stream) {
  const bool flip_a = p->operations[0] == CUBLAS_OP_T, flip_b = p->operations[1] == CUBLAS_OP_T;
  const std::uint64_t depth = flip_a ? a_at->rows : a_at->columns;
  if ((flip_a ? a_at->columns : a_at->rows) != d_at->rows || (flip_b ? b_at->rows : b_at->columns) != d_at->columns ||
      (flip_b ? b_at->columns : b_at->rows) != depth)
    return CUBLAS_STATUS_INVALID_VALUE;
  const bool add = a_at->type == CUDA_R_64F ? *static_cast<const double*>(beta) != 0 : *static_cast<const float*>(beta) != 0;
  const cublasLtMatrixLayoutOpaque_t a_is = *a_at, b_is = *b_at, c_is = *c_at, d_is = *d_at;
  expunge::cuda::emulator::enqueue(stream, [=] {
    const expunge::cuda::emulator::DeviceAccess access;
    for (std::uint64_t column = 0; column < d_is.columns; ++column)
      for (std::uint64_t row = 0; row < d_is.rows; ++row) {
        double sum = add ? element(c, c_is, row, column) : 0;
        for (std::uint64_t k = 0; k < depth; ++k)
          sum += (flip_a ? element(a, a_is, k, row) : element(a, a_is, row, k)) *
                 (flip_b ? element(b, b_is, column, k) : element(b, b_is, k, column));
        set_element(d, d_is, row, column, sum);
      }
  });
  return CUBLAS_STATUS_SUCCESS;
}
