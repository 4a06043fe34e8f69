// The memory of a rank in a run, and the policies for gathering and recomputation that `auto` chooses by it.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "fsdp/unit_layout.h"
#include "model/llama.h"
#include "session/options.h"

namespace expunge {

std::string_view recompute_name(Recompute recompute);

/// The properties of a training run that determine its memory.
struct RunShape {
  LlamaConfig model;
  int world_size = 1;
  int tokens = 0;  ///< of the largest micro-batch
  DType dtype = DType::float32;
  bool reference_model = false;  ///< the run has a reference model beside the trained one
  bool reduce_in_bf16 = false;
  bool checkpoints = false;  ///< written between steps, from a copy, while training continues
  DeviceType device = DeviceType::cpu;
};

/// Bytes of one rank, by content.
struct MemoryUse {
  std::size_t weights, gradients, moments, reference;  ///< shards: master weights, gradients, AdamW's moments, reference model
  std::size_t gathered_weights, gathered_reference;    ///< whole units of both models
  std::size_t gathered_gradients;                      ///< whole units, and sums during their reduction into the shards
  std::size_t activations, reference_activations, logits;  ///< of a micro-batch with scratch; logits of a chunk of tokens
  std::size_t checkpoint;                                  ///< the copy that is written
  std::size_t staging;                                     ///< receive buffers of collectives
  std::size_t program;                                     ///< code and libraries; on a GPU contexts of CUDA, cuBLAS and NCCL

  /// All shards.
  std::size_t state() const { return weights + gradients + moments + reference; }
  std::size_t total() const;
  /// Every part with its name, largest first.
  std::vector<std::pair<std::string, std::size_t>> parts() const;
};

MemoryUse memory_use(const RunShape& shape, GatherPolicy gather, Recompute recompute);

struct Policies {
  GatherPolicy gather;
  Recompute recompute;
  MemoryUse memory;
  bool fits;  ///< into the given memory
};

/// The fastest allowed pair of policies that fits into `memory` bytes; if none fits, the pair with the least memory.
Policies choose_policies(const RunShape& shape, GatherPolicy gather, RecomputePolicy recompute, std::size_t memory);
/// Explains why a run does not fit, and what would help.
std::string describe_misfit(const RunShape& shape, const Policies& policies, std::size_t memory);

/// The policy for passes without gradients: per_step if whole weights take at most half of `memory` bytes, else per_micro_step.
GatherPolicy choose_inference_gather(const std::vector<UnitLayout>& units, std::size_t element_bytes, std::size_t memory);

}  // namespace expunge
