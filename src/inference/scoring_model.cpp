// Sets the batching of passes from options.
#include "inference/scoring_model.h"

namespace expunge {

EvaluationBatching batching_of(const ScoringConfig& config) {
  return {static_cast<std::size_t>(config.per_device_eval_batch_size), static_cast<std::size_t>(config.micro_batch_tokens),
          static_cast<std::size_t>(config.max_eval_samples)};
}

}  // namespace expunge
