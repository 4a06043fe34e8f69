// How a model is computed, and what the choices are called.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "expunge/dtype.h"

namespace expunge {

/// When whole weights are gathered and gradients reduced: around every micro-batch, or once per optimizer step.
enum class GatherPolicy { automatic, per_micro_step, per_step };
/// What the backward pass recomputes instead of keeping: nothing; norms and the SwiGLU product; whole blocks.
enum class RecomputePolicy { automatic, none, light, block };
/// What ranks on GPUs talk over: NCCL, or MPI on host memory, so that several may share a GPU.
enum class CommPolicy { automatic, nccl, staged };

std::string_view gather_name(GatherPolicy policy);
std::string_view comm_policy_name(CommPolicy policy);

/// How the model is computed; shared by every command that runs one.
struct ComputeConfig {
  std::string device = "auto";  ///< auto, cpu, cuda
  DType dtype = DType::float32;
  bool dtype_by_device = false;  ///< neither --dtype nor --bf16 was given: Session::default_dtype() says
  GatherPolicy gather = GatherPolicy::automatic;
  RecomputePolicy recompute = RecomputePolicy::automatic;
  bool prefetch = true;
  CommPolicy comm = CommPolicy::automatic;
  bool tf32 = false;                 ///< TensorFloat-32 products; CUDA alone has them
  bool reduce_in_bf16 = false;       ///< --reduce-dtype bf16
  double collective_timeout = 1800;  ///< seconds after which ranks that others wait for are given up
};

}  // namespace expunge
