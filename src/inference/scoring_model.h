// A model for passes without training, and its batching.
#pragma once

#include <fmt/format.h>

#include <string>

#include "core/log.h"
#include "inference/options.h"
#include "inference/scorer.h"
#include "model/llama.h"
#include "session/session.h"
#include "store/weights.h"

namespace expunge {

/// A model for passes without training.
template <Element T>
struct ScoringModel {
  ScoringModel(const Session& session, const WeightsSource& source, const ComputeConfig& compute)
      : params(session.runtime(), llama_units(source.config, session.world_size()),
               {compute.gather == GatherPolicy::per_step, compute.prefetch, false}, false),
        llama(source.config, params, Recompute::none) {
    log_info(fmt::format("{}: {:.2f} M parameters, {}", source.weights.string(),
                         static_cast<double>(source.config.parameter_count()) / 1e6, dtype_name(compute.dtype)));
    load_weights(source, 0, false, params);
  }
  ShardedParams<T> params;
  Llama<T> llama;
};

EvaluationBatching batching_of(const ScoringConfig& config);

}  // namespace expunge
