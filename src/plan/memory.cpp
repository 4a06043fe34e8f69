// Computes the memory of a run, and decides the automatic policies.
#include "plan/memory.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "core/log.h"
#include "core/text.h"
#include "expunge/error.h"

namespace expunge {
namespace {

// Fixed memory of a run on a GPU: contexts of CUDA, cuBLAS and its workspace, NCCL's channels, scratch of kernels.
constexpr std::size_t kGpuProgram = 1'500'000'000;
// Fixed memory of a run on the CPU: libraries without CUDA's, and the heap.
constexpr std::size_t kCpuProgram = std::size_t{48} << 20;

/// From the fastest pair to the one with the least memory. Recomputing norms and SwiGLU costs about one percent, gathering for
/// every micro-batch the time that the network cannot hide, recomputing blocks a third.
constexpr std::array<std::pair<GatherPolicy, Recompute>, 6> kOrder = {{{GatherPolicy::per_step, Recompute::none},
                                                                       {GatherPolicy::per_step, Recompute::light},
                                                                       {GatherPolicy::per_micro_step, Recompute::none},
                                                                       {GatherPolicy::per_micro_step, Recompute::light},
                                                                       {GatherPolicy::per_step, Recompute::block},
                                                                       {GatherPolicy::per_micro_step, Recompute::block}}};

std::size_t whole_elements(const std::vector<UnitLayout>& units) {
  std::size_t n = 0;
  for (const UnitLayout& unit : units) n += unit.size();
  return n;
}

std::size_t shard_elements(const std::vector<UnitLayout>& units) {
  std::size_t n = 0;
  for (const UnitLayout& unit : units) n += unit.shard_size();
  return n;
}

std::size_t largest_elements(const std::vector<UnitLayout>& units) {
  std::size_t n = 0;
  for (const UnitLayout& unit : units) n = std::max(n, unit.size());
  return n;
}

/// Elements of the pool's blocks while two units at a time are reduced. The pool does not reuse a block for a request that is a
/// quarter smaller. Hence units of two sizes have blocks of their own.
std::size_t elements_under_way(const std::vector<UnitLayout>& units) {
  const std::size_t largest = largest_elements(units);
  std::size_t second = 0;
  for (const UnitLayout& unit : units)
    if (unit.size() + unit.size() / 4 < largest) second = std::max(second, unit.size());
  return second > 0 ? largest + 2 * second : 2 * largest;
}

/// Keeps a fiftieth free, because the pool's blocks may be larger than the requests.
bool fits(const MemoryUse& use, std::size_t memory) { return use.total() <= memory - memory / 50; }

bool asked_for(RecomputePolicy asked, Recompute recompute) {
  switch (asked) {
    case RecomputePolicy::automatic:
      return true;
    case RecomputePolicy::none:
      return recompute == Recompute::none;
    case RecomputePolicy::light:
      return recompute == Recompute::light;
    case RecomputePolicy::block:
      return recompute == Recompute::block;
  }
  fail(ExitCode::internal, "unnamed recompute policy");
}

/// Adds gathered weights and gradients, and the buffers of collectives.
void add_whole_units(MemoryUse& use, const RunShape& shape, const std::vector<UnitLayout>& units, bool per_step,
                     std::size_t element, std::size_t sum) {
  const bool alone = shape.world_size == 1;
  const std::size_t whole = whole_elements(units), largest = largest_elements(units);
  const std::size_t slots = (per_step ? whole : 2 * largest) * element;
  const auto ranks = static_cast<std::size_t>(shape.world_size);
  // A single rank needs no gathered gradients, and no gathered weights if master weights have the compute type.
  use.gathered_weights = alone && element == sum ? 0 : slots;
  use.gathered_reference = alone || !shape.reference_model ? 0 : slots;
  if (alone) return;
  const std::size_t wire = shape.reduce_in_bf16 ? sizeof(bf16) : sum;
  const std::size_t under_way = elements_under_way(units);
  use.gathered_gradients = per_step ? whole * sum : under_way * (sum + sum / ranks);
  if (shape.reduce_in_bf16) use.gathered_gradients += under_way * wire;
  if (shape.device == DeviceType::cpu)
    use.staging = (ranks > 2 ? 2 : 1) * largest / ranks * wire;
  else if (shape.reduce_in_bf16)
    use.staging = largest * wire;  // the parts of all ranks, before their sum
}

template <Element T>
MemoryUse memory_use_as(const RunShape& shape, GatherPolicy gather, Recompute recompute) {
  constexpr std::size_t element = sizeof(T), sum = sizeof(acc_t<T>);
  const std::vector<UnitLayout> units = llama_units(shape.model, shape.world_size);
  const std::size_t shards = shard_elements(units);
  const WorkspaceBytes trained = workspace_bytes<T>(shape.model, shape.tokens, recompute, true, shape.device);
  const WorkspaceBytes reference = shape.reference_model
                                       ? workspace_bytes<T>(shape.model, shape.tokens, Recompute::none, false, shape.device)
                                       : WorkspaceBytes{};
  MemoryUse use{};
  use.weights = use.gradients = shards * sum;
  use.moments = 2 * shards * sum;
  use.reference = shape.reference_model ? shards * element : 0;
  // The copy has everything except gradients, in host memory.
  use.checkpoint = shape.checkpoints && shape.device == DeviceType::cpu ? 3 * shards * sum : 0;
  use.activations = trained.activations;
  use.reference_activations = reference.activations;
  use.logits = trained.logits + reference.logits;
  use.program = shape.device == DeviceType::cuda ? kGpuProgram : kCpuProgram + cuda_library_bytes();
  add_whole_units(use, shape, units, gather == GatherPolicy::per_step, element, sum);
  return use;
}

}  // namespace

std::string_view recompute_name(Recompute recompute) {
  switch (recompute) {
    case Recompute::none:
      return "none";
    case Recompute::light:
      return "light";
    case Recompute::block:
      return "block";
  }
  fail(ExitCode::internal, "unnamed recompute policy");
}

std::size_t MemoryUse::total() const {
  std::size_t sum = 0;
  for (const auto& [name, bytes] : parts()) sum += bytes;
  return sum;
}

std::vector<std::pair<std::string, std::size_t>> MemoryUse::parts() const {
  std::vector<std::pair<std::string, std::size_t>> parts = {{"master weights (shard)", weights},
                                                            {"gradients (shard)", gradients},
                                                            {"AdamW moments (shard)", moments},
                                                            {"reference model (shard)", reference},
                                                            {"gathered weights", gathered_weights},
                                                            {"gathered weights of the reference model", gathered_reference},
                                                            {"gathered gradients", gathered_gradients},
                                                            {"activations", activations},
                                                            {"activations of the reference model", reference_activations},
                                                            {"logits (a chunk)", logits},
                                                            {"copy for checkpoints", checkpoint},
                                                            {"staging of collectives", staging},
                                                            {"program and libraries", program}};
  std::ranges::stable_sort(parts, std::ranges::greater(), &std::pair<std::string, std::size_t>::second);
  return parts;
}

MemoryUse memory_use(const RunShape& shape, GatherPolicy gather, Recompute recompute) {
  return in_element_type(shape.dtype,
                         [&]<Element T>(std::type_identity<T>) { return memory_use_as<T>(shape, gather, recompute); });
}

Policies choose_policies(const RunShape& shape, GatherPolicy gather, RecomputePolicy recompute, std::size_t memory) {
  std::vector<Policies> candidates;
  for (const auto& [when, what] : kOrder)
    if ((gather == GatherPolicy::automatic || gather == when) && asked_for(recompute, what)) {
      const MemoryUse use = memory_use(shape, when, what);
      candidates.push_back({when, what, use, fits(use, memory)});
    }
  const auto fitting = std::ranges::find_if(candidates, &Policies::fits);
  if (fitting != candidates.end()) return *fitting;
  return *std::ranges::min_element(candidates, {}, [](const Policies& policies) { return policies.memory.total(); });
}

std::string describe_misfit(const RunShape& shape, const Policies& policies, std::size_t memory) {
  constexpr int kMostRanks = 1024;
  int ranks = shape.world_size;
  for (RunShape larger = shape; ranks <= kMostRanks; ranks *= 2) {
    larger.world_size = ranks;
    if (choose_policies(larger, GatherPolicy::automatic, RecomputePolicy::automatic, memory).fits) break;
  }
  const auto parts = policies.memory.parts();
  std::string way_out = fmt::format("it would on {} ranks, or try a smaller micro-batch", ranks);
  if (ranks == shape.world_size) way_out = "it would with --gather auto and --recompute auto";
  if (ranks > kMostRanks) way_out = "no number of ranks helps: a smaller micro-batch is needed";
  return fmt::format(
      "the run does not fit: a rank needs {} but has {}, with gather {} and recompute {} on {}; the largest parts are {} "
      "({}) and {} ({}); {}",
      format_bytes(static_cast<double>(policies.memory.total())), format_bytes(static_cast<double>(memory)),
      gather_name(policies.gather), recompute_name(policies.recompute), counted(shape.world_size, "rank"), parts[0].first,
      format_bytes(static_cast<double>(parts[0].second)), parts[1].first, format_bytes(static_cast<double>(parts[1].second)),
      way_out);
}

GatherPolicy choose_inference_gather(const std::vector<UnitLayout>& units, std::size_t element_bytes, std::size_t memory) {
  return whole_elements(units) * element_bytes <= memory / 2 ? GatherPolicy::per_step : GatherPolicy::per_micro_step;
}

}  // namespace expunge
