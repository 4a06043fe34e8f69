// What a run takes of a rank's memory, and deciding by it what `auto` means: when to gather, what the backward pass recomputes.
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

/// A training run as far as its memory goes.
struct RunShape {
  LlamaConfig model;
  int world_size = 1;
  int tokens = 0;  ///< of the largest micro-batch
  DType dtype = DType::float32;
  bool reference_model = false;  ///< the original model is kept beside the trained one
  bool reduce_in_bf16 = false;
  bool checkpoints = false;  ///< between steps: they are written from a copy while training goes on
  DeviceType device = DeviceType::cpu;
};

/// Bytes of one rank, by what they hold.
struct MemoryUse {
  std::size_t weights, gradients, moments, frozen;   ///< shards: master weights, their gradients, AdamW's, the frozen model's
  std::size_t gathered_weights, gathered_reference;  ///< whole units of both models
  std::size_t gathered_gradients;                    ///< whole units, and sums on their way into the shards
  std::size_t activations, reference_activations, logits;  ///< of a micro-batch, scratch included; logits of a chunk of tokens
  std::size_t checkpoint;                                  ///< the copy that one is written from
  std::size_t staging;                                     ///< what collectives receive into
  std::size_t program;  ///< code and libraries; on a GPU the contexts of CUDA, cuBLAS and NCCL

  /// All shards.
  std::size_t state() const { return weights + gradients + moments + frozen; }
  std::size_t total() const;
  /// Every part with its name, largest first.
  std::vector<std::pair<std::string, std::size_t>> parts() const;
};

MemoryUse memory_use(const RunShape& shape, GatherPolicy gather, Recompute recompute);

struct Policies {
  GatherPolicy gather;
  Recompute recompute;
  MemoryUse memory;
  bool fits;  ///< within the memory given
};

/// The fastest pair of policies, of those asked for, that fits into `memory` bytes; the one that takes least where none does.
Policies choose_policies(const RunShape& shape, GatherPolicy gather, RecomputePolicy recompute, std::size_t memory);
/// Why a run does not fit, and what would help.
std::string describe_misfit(const RunShape& shape, const Policies& policies, std::size_t memory);

/// For passes without gradients: per_step where whole weights take at most half of `memory` bytes, else per_micro_step.
GatherPolicy choose_inference_gather(const std::vector<UnitLayout>& units, std::size_t element_bytes, std::size_t memory);

}  // namespace expunge
