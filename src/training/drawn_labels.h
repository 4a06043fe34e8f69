// What a method takes from the original model, or from chance, before the first step: labels and sequences' nll. Kept with the
// run, so that a resumed run has the same.
#pragma once

#include <cstdint>
#include <vector>

#include "data/label_file.h"
#include "inference/scorer.h"
#include "model/llama.h"
#include "run/options.h"

namespace expunge {

/// Every label drawn uniformly from the vocabulary; those that are one of `special` ids stay. A label depends on seed, sequence
/// and position alone.
Labels draw_uniform_labels(const TokenSplit& split, std::uint64_t seed, int vocabulary,
                           const std::vector<std::int32_t>& special);

/// Labels drawn from the original model's distribution (Yao et al. 2024, unlearning with adversarial samples: top_k 1 without
/// the true id). Label t comes from the model's prediction for it, at position t - 1; with `released` as the released code
/// has it, from the prediction at t itself, and never the vocabulary's last id. Special ids are replaced like any. One pass
/// over all ranks; every rank gets all, or nothing where the pass was cut short. A label is negative where the model's logits
/// are not numbers: see check_drawn().
template <Element T>
Labels draw_model_labels(Llama<T>& original, const TokenSplit& split, const LabelOptions& labels, bool released,
                         std::uint64_t seed, const EvaluationBatching& batching);

/// Throws Error(collapse), with `model` and the split's name, where a label could not be drawn.
void check_drawn(const std::string& model, const std::string& name, const TokenSplit& split, const Labels& labels);

}  // namespace expunge
