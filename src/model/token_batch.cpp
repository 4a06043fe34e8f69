// Packing sequences.
#include "expunge/model/token_batch.h"

namespace expunge {

void TokenBatch::append(std::span<const std::int32_t> sequence) {
  const std::size_t n = sequence.size();
  ids.insert(ids.end(), sequence.begin(), sequence.end());
  for (std::size_t t = 0; t < n; ++t) {
    labels.push_back(t + 1 < n ? sequence[t + 1] : kNoTarget);
    positions.push_back(static_cast<std::int32_t>(t));
  }
  offsets.push_back(static_cast<std::int32_t>(ids.size()));
}

}  // namespace expunge
