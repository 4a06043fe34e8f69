// Deciding what `auto` means: when to gather, and what the backward pass recomputes.
#pragma once

#include <cstddef>
#include <string_view>

#include "expunge/fsdp/unit_layout.h"
#include "expunge/model/llama.h"
#include "expunge/train/config.h"

namespace expunge {

std::string_view gather_name(GatherPolicy policy);
std::string_view recompute_name(Recompute recompute);

/// Bytes of one rank's shards of master weights, gradients and both moments; `sum_bytes` of an accumulation element.
std::size_t model_state_bytes(const std::vector<UnitLayout>& units, std::size_t sum_bytes);
/// Bytes of one rank's shards of a frozen model's weights.
std::size_t frozen_state_bytes(const std::vector<UnitLayout>& units, std::size_t element_bytes);

/// per_step where whole weights and whole gradients take at most half of `available` bytes, else per_micro_step.
GatherPolicy choose_gather(const std::vector<UnitLayout>& units, std::size_t element_bytes, std::size_t sum_bytes,
                           std::size_t available);

/// The least recomputation whose activations for `tokens` tokens take at most half of `available` bytes.
Recompute choose_recompute(RecomputePolicy asked, const LlamaConfig& config, std::size_t tokens, std::size_t element_bytes,
                           std::size_t available);

}  // namespace expunge
