// Packs sequences into a micro-batch.
#include "model/token_batch.h"

#include <fmt/format.h>

#include <algorithm>

#include "expunge/error.h"

namespace expunge {

void TokenBatch::append(std::span<const std::int32_t> sequence) { append(sequence, sequence); }

void TokenBatch::append(std::span<const std::int32_t> sequence, std::span<const std::int32_t> sequence_labels) {
  const std::size_t n = sequence.size();
  if (static_cast<std::int64_t>(ids.size() + n) > kMostBatchTokens)
    fail(ExitCode::usage, fmt::format("a micro-batch of more than {} tokens cannot be computed: lower the option "
                                      "--per-device-train-batch-size, --per-device-eval-batch-size or --micro-batch-tokens",
                                      kMostBatchTokens));
  ids.insert(ids.end(), sequence.begin(), sequence.end());
  for (std::size_t t = 0; t < n; ++t) {
    labels.push_back(t + 1 < n ? std::max(sequence_labels[t + 1], kNoTarget) : kNoTarget);
    positions.push_back(static_cast<std::int32_t>(t));
  }
  offsets.push_back(static_cast<std::int32_t>(ids.size()));
}

TokenBatch TokenBatch::front(int tokens) const {
  TokenBatch batch;
  for (std::size_t s = 0; offsets[s] < tokens; ++s) {
    const auto first = static_cast<std::size_t>(offsets[s]), end = static_cast<std::size_t>(offsets[s + 1]);
    batch.append(std::span(ids).subspan(first, end - first));
  }
  return batch;
}

}  // namespace expunge
