// Automatic policies.
#include "expunge/train/policies.h"

#include "expunge/core/error.h"

namespace expunge {
namespace {

std::size_t whole_elements(const std::vector<UnitLayout>& units) {
  std::size_t n = 0;
  for (const UnitLayout& unit : units) n += unit.size();
  return n;
}

}  // namespace

std::string_view gather_name(GatherPolicy policy) {
  switch (policy) {
    case GatherPolicy::automatic:
      return "auto";
    case GatherPolicy::per_micro_step:
      return "per-micro-step";
    case GatherPolicy::per_step:
      return "per-step";
  }
  fail(ExitCode::internal, "unnamed gather policy");
}

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

namespace {

std::size_t shard_elements(const std::vector<UnitLayout>& units) {
  std::size_t n = 0;
  for (const UnitLayout& unit : units) n += unit.shard_size();
  return n;
}

}  // namespace

std::size_t model_state_bytes(const std::vector<UnitLayout>& units, std::size_t sum_bytes) {
  return 4 * shard_elements(units) * sum_bytes;
}

std::size_t frozen_state_bytes(const std::vector<UnitLayout>& units, std::size_t element_bytes) {
  return shard_elements(units) * element_bytes;
}

GatherPolicy choose_gather(const std::vector<UnitLayout>& units, std::size_t element_bytes, std::size_t sum_bytes,
                           std::size_t available) {
  const std::size_t needed = whole_elements(units) * (element_bytes + sum_bytes);
  return needed <= available / 2 ? GatherPolicy::per_step : GatherPolicy::per_micro_step;
}

Recompute choose_recompute(RecomputePolicy asked, const LlamaConfig& config, std::size_t tokens, std::size_t element_bytes,
                           std::size_t available) {
  switch (asked) {
    case RecomputePolicy::none:
      return Recompute::none;
    case RecomputePolicy::light:
      return Recompute::light;
    case RecomputePolicy::block:
      return Recompute::block;
    case RecomputePolicy::automatic:
      break;
  }
  for (const Recompute recompute : {Recompute::none, Recompute::light})
    if (activation_bytes(config, tokens, recompute, element_bytes) <= available / 2) return recompute;
  return Recompute::block;
}

}  // namespace expunge
