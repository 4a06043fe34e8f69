// What commands that pass texts through a model share: a model without gradients in the element type asked for, who wrote what.
#pragma once

#include <fmt/format.h>

#include <string>
#include <type_traits>

#include "expunge/core/error.h"
#include "expunge/core/log.h"
#include "expunge/data/token_file.h"
#include "expunge/io/files.h"
#include "expunge/model/llama.h"
#include "expunge/train/config.h"
#include "expunge/train/evaluation_file.h"
#include "expunge/train/evaluator.h"
#include "expunge/train/model_source.h"
#include "expunge/train/session.h"

namespace expunge {

/// A model that is passed through, never trained.
template <Element T>
struct ScoringModel {
  ScoringModel(const Session& session, const ModelSource& source, const ComputeConfig& compute)
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

/// work(std::type_identity<T>()) for the element type T that `dtype` names.
template <typename Work>
auto in_element_type(DType dtype, Work work) {
  switch (dtype) {
    case DType::float32:
      return work(std::type_identity<float>());
    case DType::bfloat16:
      return work(std::type_identity<bf16>());
    case DType::float64:
      return work(std::type_identity<double>());
    case DType::float16:
      break;
  }
  fail(ExitCode::usage, "--dtype: use float32, bfloat16 or float64");
}

EvaluationBatching batching_of(const ScoringConfig& config);
inline Existing existing_of(bool overwrite) { return overwrite ? Existing::replace : Existing::keep; }
/// Throws Error(output) where the output exists and is not to be replaced, or cannot be written.
void check_output(const std::filesystem::path& output, bool overwrite);
/// The same on rank 0, which will write it. Collective.
void check_output(const Runtime& runtime, const std::filesystem::path& output, bool overwrite);
/// Collective; the hash of the token file is taken on rank 0 alone.
EvaluationSource describe(const Session& session, const ScoringConfig& config, const ModelSource& source,
                          const TokenFile& tokens);

}  // namespace expunge
