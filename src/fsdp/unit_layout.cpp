// Places parameters in a unit's flat vector.
#include "fsdp/unit_layout.h"

#include <algorithm>
#include <functional>
#include <numeric>

namespace expunge {
namespace {
constexpr std::size_t round_up(std::size_t n, std::size_t unit) { return (n + unit - 1) / unit * unit; }
}  // namespace

void UnitLayout::add(std::vector<Parameter> group) {
  used_ = round_up(used_, kAlignment);
  for (Parameter& parameter : group) {
    const auto size = static_cast<std::size_t>(
        std::accumulate(parameter.shape.begin(), parameter.shape.end(), std::int64_t{1}, std::multiplies<>()));
    const bool is_matrix = parameter.shape.size() > 1;
    views_.push_back({std::move(parameter.name), std::move(parameter.shape), is_matrix, used_, size});
    used_ += size;
  }
}

std::size_t UnitLayout::shard_size() const { return round_up(used_, kAlignment * world_size_) / world_size_; }

std::vector<ParameterSlice> UnitLayout::slices(int rank) const {
  const std::size_t begin = static_cast<std::size_t>(rank) * shard_size(), end = begin + shard_size();
  std::vector<ParameterSlice> slices;
  for (const ParameterView& view : views_) {
    const std::size_t from = std::max(begin, view.offset), to = std::min(end, view.offset + view.size);
    if (from < to) slices.push_back({&view, from - view.offset, to - from, from - begin});
  }
  return slices;
}

}  // namespace expunge
