// Matrix products through cuBLASLt: row-major as the transposed column-major product. Chooses the algorithm of each
// shape once.
#include "kernels/cuda/product.h"

#include <cublasLt.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <source_location>

#include "core/cuda/cuda_stream.h"
#include "expunge/error.h"
#include "kernels/cuda/cuda_table.h"

namespace expunge::cuda {
namespace {

std::atomic<bool> tf32{false};

void must(cublasStatus_t status, const char* call, std::source_location where = std::source_location::current()) {
  if (status != CUBLAS_STATUS_SUCCESS)
    fail(ExitCode::internal, fmt::format("{}: {}", call, cublasLtGetStatusString(status)), where);
}

cudaDataType_t data_type(DType dtype) {
  switch (dtype) {
    case DType::float32:
      return CUDA_R_32F;
    case DType::bfloat16:
      return CUDA_R_16BF;
    case DType::float64:
      return CUDA_R_64F;
    case DType::float16:
      break;
  }
  fail(ExitCode::internal, "there is no product of this element type");
}

/// The largest power of two up to 256 that divides an address, which a kernel may rely on.
std::uint32_t alignment(const void* p) {
  return std::uint32_t(1) << std::min(8, std::countr_zero(reinterpret_cast<std::uintptr_t>(p)));
}

/// cuBLASLt needs an address even if nothing is added.
const void* addend(const Product& p) { return p.added ? p.added : p.c; }

/// Destroys cuBLASLt objects.
struct Destroy {
  void operator()(cublasLtMatmulDescOpaque_t* p) const { cublasLtMatmulDescDestroy(p); }
  void operator()(cublasLtMatrixLayoutOpaque_t* p) const { cublasLtMatrixLayoutDestroy(p); }
  void operator()(cublasLtMatmulPreferenceOpaque_t* p) const { cublasLtMatmulPreferenceDestroy(p); }
};
template <typename Opaque>
using Owned = std::unique_ptr<Opaque, Destroy>;

Owned<cublasLtMatrixLayoutOpaque_t> layout(cudaDataType_t type, int rows, int columns) {
  cublasLtMatrixLayout_t made{};
  must(cublasLtMatrixLayoutCreate(&made, type, static_cast<std::uint64_t>(rows), static_cast<std::uint64_t>(columns), rows),
       "cublasLtMatrixLayoutCreate");
  return Owned<cublasLtMatrixLayoutOpaque_t>(made);
}

/// Everything that the choice of an algorithm depends on.
using ShapeKey = std::array<int, 11>;

/// Descriptors of a product and its algorithm. Row-major (r, c) is column-major (c, r), so cuBLASLt computes c^T = b^T a^T.
/// Its first operand is b, as stored transposed; its second is a.
struct PreparedProduct {
  Owned<cublasLtMatmulDescOpaque_t> operation;
  Owned<cublasLtMatrixLayoutOpaque_t> first, second, result;
  cublasLtMatmulAlgo_t algorithm;
};

class Multiplier {
 public:
  explicit Multiplier(int index) : workspace_(Device{DeviceType::cuda, index}, kWorkspaceBytes) {
    must(cublasLtCreate(&handle_), "cublasLtCreate");
  }

  void multiply(Stream& stream, const Product& p) {
    const std::lock_guard lock(mutex_);
    const PreparedProduct& product = prepared(p);
    const float one = 1, beta = p.added ? 1 : 0;
    const double wide_one = 1, wide_beta = beta;
    const bool wide = p.inputs == DType::float64;
    must(cublasLtMatmul(handle_, product.operation.get(), wide ? static_cast<const void*>(&wide_one) : &one, p.b.data,
                        product.first.get(), p.a.data, product.second.get(),
                        wide ? static_cast<const void*>(&wide_beta) : &beta, addend(p), product.result.get(), p.c,
                        product.result.get(), &product.algorithm, workspace_.data(), kWorkspaceBytes, handle(stream)),
         "cublasLtMatmul");
  }

 private:
  static constexpr std::size_t kWorkspaceBytes = std::size_t{64} << 20;  // algorithms for Hopper need 32 MiB

  const PreparedProduct& prepared(const Product& p) {
    const ShapeKey key{p.rows,
                       p.columns,
                       p.depth,
                       static_cast<int>(p.inputs) * 8 + static_cast<int>(p.output),
                       p.a.transposed * 2 + p.b.transposed,
                       (p.added != nullptr) * 2 + (p.added == p.c),
                       tf32 ? 1 : 0,
                       static_cast<int>(alignment(p.a.data)),
                       static_cast<int>(alignment(p.b.data)),
                       static_cast<int>(alignment(addend(p))),
                       static_cast<int>(alignment(p.c))};
    const auto found = prepared_.find(key);
    return found != prepared_.end() ? found->second : prepared_.emplace(key, prepare(p)).first->second;
  }

  PreparedProduct prepare(const Product& p) {
    const bool wide = p.inputs == DType::float64;
    const cublasComputeType_t compute = wide                                        ? CUBLAS_COMPUTE_64F
                                        : p.inputs == DType::float32 && tf32.load() ? CUBLAS_COMPUTE_32F_FAST_TF32
                                                                                    : CUBLAS_COMPUTE_32F;
    cublasLtMatmulDesc_t made{};
    must(cublasLtMatmulDescCreate(&made, compute, wide ? CUDA_R_64F : CUDA_R_32F), "cublasLtMatmulDescCreate");
    PreparedProduct product{Owned<cublasLtMatmulDescOpaque_t>(made), nullptr, nullptr, nullptr, {}};
    const auto transpose = [&](cublasLtMatmulDescAttributes_t which, const ProductOperand& operand) {
      const cublasOperation_t operation = operand.transposed ? CUBLAS_OP_T : CUBLAS_OP_N;
      must(cublasLtMatmulDescSetAttribute(made, which, &operation, sizeof(operation)), "cublasLtMatmulDescSetAttribute");
    };
    transpose(CUBLASLT_MATMUL_DESC_TRANSA, p.b);
    transpose(CUBLASLT_MATMUL_DESC_TRANSB, p.a);
    const cudaDataType_t type = data_type(p.inputs);
    product.first = p.b.transposed ? layout(type, p.depth, p.columns) : layout(type, p.columns, p.depth);
    product.second = p.a.transposed ? layout(type, p.rows, p.depth) : layout(type, p.depth, p.rows);
    product.result = layout(data_type(p.output), p.columns, p.rows);
    product.algorithm = choose(product, p);
    return product;
  }

  cublasLtMatmulAlgo_t choose(const PreparedProduct& product, const Product& p) {
    cublasLtMatmulPreference_t made{};
    must(cublasLtMatmulPreferenceCreate(&made), "cublasLtMatmulPreferenceCreate");
    const Owned<cublasLtMatmulPreferenceOpaque_t> preference(made);
    const auto set = [&](cublasLtMatmulPreferenceAttributes_t which, auto value) {
      must(cublasLtMatmulPreferenceSetAttribute(made, which, &value, sizeof(value)), "cublasLtMatmulPreferenceSetAttribute");
    };
    set(CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, kWorkspaceBytes);
    // Add the parts of a split depth in the compute type, not in the result's type.
    set(CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK, std::uint32_t{CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE});
    set(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, alignment(p.b.data));
    set(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, alignment(p.a.data));
    set(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, alignment(addend(p)));
    set(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES, alignment(p.c));
    cublasLtMatmulHeuristicResult_t result{};
    int found = 0;
    const cublasStatus_t status =
        cublasLtMatmulAlgoGetHeuristic(handle_, product.operation.get(), product.first.get(), product.second.get(),
                                       product.result.get(), product.result.get(), made, 1, &result, &found);
    if (status != CUBLAS_STATUS_SUCCESS || found == 0)
      fail(ExitCode::internal, fmt::format("cuBLASLt has no algorithm for a ({}, {}) product over {}: {}", p.rows, p.columns,
                                           p.depth, cublasLtGetStatusString(status)));
    return result.algo;
  }

  cublasLtHandle_t handle_{};
  Buffer<char> workspace_;  // used only in the order of the compute stream
  std::mutex mutex_;
  std::map<ShapeKey, PreparedProduct> prepared_;
};

/// Never destroyed, because the CUDA library may shut down before static objects.
Multiplier& multiplier(int index) {
  static auto* mutex = new std::mutex;
  static auto* multipliers = new std::map<int, Multiplier>;
  const std::lock_guard lock(*mutex);
  return multipliers->try_emplace(index, index).first->second;
}

}  // namespace

void multiply(Stream& stream, const Product& p) {
  if (p.rows == 0 || p.columns == 0) return;
  if (p.depth == 0) {
    const std::size_t bytes =
        static_cast<std::size_t>(p.rows) * static_cast<std::size_t>(p.columns) * static_cast<std::size_t>(dtype_size(p.output));
    if (!p.added)
      zero_bytes(stream, p.c, bytes);
    else if (p.added != p.c)
      copy_bytes(stream, p.c, p.added, bytes);
    return;
  }
  multiplier(stream.device().index).multiply(stream, p);
}

void set_tf32(bool on) { tf32 = on; }

}  // namespace expunge::cuda
