// Options of a model's computation, and the names of their values.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "expunge/dtype.h"

namespace expunge {

/// When whole weights are gathered and gradients reduced: per micro-batch, or once per optimizer step.
enum class GatherPolicy { automatic, per_micro_step, per_step };
/// What the backward pass recomputes: nothing; norms and the SwiGLU product; whole blocks.
enum class RecomputePolicy { automatic, none, light, block };
/// Transport between ranks on GPUs: NCCL, or MPI on host memory, which lets ranks share a GPU.
enum class CommPolicy { automatic, nccl, staged };

std::string_view gather_name(GatherPolicy policy);
/// What a checkpoint's `gather` names; per_micro_step for any other text.
GatherPolicy recorded_gather(std::string_view name);
std::string_view comm_policy_name(CommPolicy policy);

/// Options of a model's computation, shared by every command that runs a model.
struct ComputeConfig {
  std::string device = "auto";  ///< auto, cpu, cuda
  DType dtype = DType::float32;
  bool dtype_by_device = false;  ///< neither --dtype nor --bf16 was given: Session::default_dtype() decides
  GatherPolicy gather = GatherPolicy::automatic;
  RecomputePolicy recompute = RecomputePolicy::automatic;
  bool prefetch = true;
  CommPolicy comm = CommPolicy::automatic;
  bool tf32 = false;                 ///< TensorFloat-32 products; CUDA only
  bool reduce_in_bf16 = false;       ///< --reduce-dtype bf16
  double collective_timeout = 1800;  ///< seconds without progress before a collective fails
};

}  // namespace expunge
