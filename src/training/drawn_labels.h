// Labels drawn before the first step, from the original model or uniformly. The run stores them, so that a resumed run uses
// the same labels.
#pragma once

#include <cstdint>
#include <vector>

#include "data/label_file.h"
#include "inference/scorer.h"
#include "model/llama.h"
#include "run/options.h"

namespace expunge {

/// Draws every label uniformly from the vocabulary; `special` ids keep their label. A label depends on seed, sequence and
/// position only.
Labels draw_uniform_labels(const TokenSplit& split, std::uint64_t seed, int vocabulary,
                           const std::vector<std::int32_t>& special);

/// Draws labels from the original model's distribution (Yao et al. 2024, unlearning with adversarial samples: top_k 1 without
/// the true id). Label t is drawn from the prediction for it, at position t - 1. `released` follows the released code: label t
/// is drawn from the prediction at t, and never is the vocabulary's last id. Special ids are replaced like any other. One pass
/// over all ranks; every rank gets all labels, or none if the pass was cut short. A label is negative if the model's logits
/// are not finite: see check_drawn().
template <Element T>
Labels draw_model_labels(Llama<T>& original, const TokenSplit& split, const LabelOptions& labels, bool released,
                         std::uint64_t seed, const EvaluationBatching& batching);

/// Throws Error(collapse), naming `model` and the split, if a label is negative.
void check_drawn(const std::string& model, const std::string& name, const TokenSplit& split, const Labels& labels);

}  // namespace expunge
