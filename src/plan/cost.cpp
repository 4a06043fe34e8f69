// Computes the cost of an optimizer step.
#include "plan/cost.h"

#include <algorithm>
#include <cmath>

namespace expunge {
namespace {

/// Values moved per parameter by AdamW and the gradient norm: master and both moments are read and written, the gradient is
/// read twice.
constexpr double kOptimizerAccesses = 8;

struct Sizes {
  double all = 0, first_block = 0, blocks = 0;  // elements of whole units
};

Sizes unit_sizes(const LlamaConfig& config, const std::vector<UnitLayout>& units) {
  Sizes sizes;
  for (std::size_t u = 0; u < units.size(); ++u) {
    const auto size = static_cast<double>(units[u].size());
    sizes.all += size;
    if (u == 1) sizes.first_block = size;
    if (u >= 1 && u <= static_cast<std::size_t>(config.num_hidden_layers)) sizes.blocks += size;
  }
  return sizes;
}

/// Seconds of collectives in which a rank receives `bytes` in total, as a ring over all ranks.
double ring_seconds(const Rates& rates, int world_size, double calls, double bytes) {
  const bool one_node = world_size <= rates.ranks_per_node;
  const double bandwidth = one_node ? rates.node_bandwidth : std::min(rates.node_bandwidth, rates.network_bandwidth);
  const double nodes = std::ceil(static_cast<double>(world_size) / rates.ranks_per_node);
  return bytes / bandwidth + (one_node ? 0 : calls * nodes * rates.network_latency);
}

}  // namespace

int StepShape::micro_batches(int world_size) const {
  const double of_rank = std::ceil(sequences / world_size);
  return static_cast<int>(std::ceil(of_rank / sequences_per_micro_batch));
}

TokenFlops token_flops(const LlamaConfig& config, int length) {
  const double layers = config.num_hidden_layers;
  const double head = static_cast<double>(config.vocab_size) * config.hidden_size;
  const double matrices = static_cast<double>(config.parameter_count()) - (config.tie_word_embeddings ? 0 : head);
  const double attention = 2.0 * layers * length * config.num_attention_heads * config.head_dim;
  return {2 * matrices + attention, 2 * (matrices - head) + attention};
}

Gathers step_gathers(const LlamaConfig& config, const std::vector<UnitLayout>& units, GatherPolicy gather, int micro_batches) {
  const Sizes sizes = unit_sizes(config, units);
  const auto n = static_cast<double>(units.size());
  if (gather == GatherPolicy::per_step) return {n, sizes.all};
  // With two slots, the backward pass still has the last block, and the next micro-batch the first one. A tied head is the
  // embedding, gathered again.
  const double layers = config.num_hidden_layers;
  const bool tied = config.tie_word_embeddings;
  const double again = layers > 1 ? micro_batches - 1 : 0;
  const double calls = (n + (tied ? 1 : 0) + layers - 1) * micro_batches - again;
  const double elements =
      (sizes.all + (tied ? static_cast<double>(units[0].size()) : 0) + sizes.blocks - sizes.first_block) * micro_batches -
      again * sizes.first_block;
  return {calls, elements};
}

StepCost step_cost(const RunShape& shape, const Policies& policies, const StepShape& step, const Rates& rates) {
  const std::vector<UnitLayout> units = llama_units(shape.model, shape.world_size);
  const double element = dtype_size(shape.dtype), sum = std::max(4, dtype_size(shape.dtype));
  const double whole = unit_sizes(shape.model, units).all;
  const bool per_step = policies.gather == GatherPolicy::per_step;
  StepCost cost{};
  cost.micro_batches = step.micro_batches(shape.world_size);
  cost.tokens = step.sequences * step.sequence_length;

  const double own_tokens = std::ceil(step.sequences / shape.world_size) * step.sequence_length;
  const TokenFlops flops = token_flops(shape.model, step.sequence_length);
  cost.model_flops = own_tokens * (flops.training() + (shape.reference_model ? step.reference_share * flops.forward : 0));
  cost.hardware_flops = cost.model_flops + (policies.recompute == Recompute::block ? own_tokens * flops.blocks : 0);
  cost.compute = cost.hardware_flops / rates.flops;

  const double others = 1 - 1.0 / shape.world_size;  // share of a whole unit on other ranks
  Gathers gathers = step_gathers(shape.model, units, policies.gather, cost.micro_batches);
  if (shape.reference_model && !per_step) {
    const double reference_batches = std::ceil(step.reference_share * cost.micro_batches);
    gathers.calls += reference_batches * static_cast<double>(units.size());
    gathers.elements += reference_batches * whole;
  }
  const double reductions = per_step ? 1 : cost.micro_batches;
  cost.gathered = others * gathers.elements * element;
  cost.reduced = others * reductions * whole * (shape.reduce_in_bf16 ? sizeof(bf16) : sum);
  if (shape.world_size > 1)
    cost.communication = ring_seconds(rates, shape.world_size, gathers.calls + reductions * static_cast<double>(units.size()),
                                      cost.gathered + cost.reduced);
  // Gathering once per step, only the first micro-batch hides gathers and the last one reductions.
  double hiding = 0;
  if (step.prefetch) hiding = per_step ? cost.compute / cost.micro_batches : cost.compute;
  cost.exposed = std::max(0.0, cost.communication - hiding);
  double shards = 0;
  for (const UnitLayout& unit : units) shards += static_cast<double>(unit.shard_size());
  cost.optimizer = kOptimizerAccesses * shards * sum / rates.memory_bandwidth;
  return cost;
}

}  // namespace expunge
