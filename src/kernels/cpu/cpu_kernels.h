// The CPU's kernel table for any element type.
#pragma once

#include "expunge/kernels.h"
#include "kernels/cpu/adamw.h"
#include "kernels/cpu/attention.h"
#include "kernels/cpu/attention_cached.h"
#include "kernels/cpu/distance.h"
#include "kernels/cpu/embedding.h"
#include "kernels/cpu/flat.h"
#include "kernels/cpu/linear.h"
#include "kernels/cpu/log_prob_moments.h"
#include "kernels/cpu/nll.h"
#include "kernels/cpu/rms_norm.h"
#include "kernels/cpu/rope.h"
#include "kernels/cpu/sample_labels.h"
#include "kernels/cpu/soft_target.h"
#include "kernels/cpu/swiglu.h"

namespace expunge::cpu::EXPUNGE_CPU_LEVEL {

/// Kernels that run in the calling thread and its team and finish before they return; the stream does not matter.
template <Element T>
inline constexpr Kernels<T> kKernels{
    .reserve = [](Stream&, int, int, AttentionShape) {},
    .linear_forward = linear_forward<T>,
    .linear_backward = linear_backward<T>,
    .logits_forward = logits_forward<T>,
    .embedding_forward = embedding_forward<T>,
    .embedding_backward = embedding_backward<T>,
    .rms_norm_forward = rms_norm_forward<T>,
    .rms_norm_backward = rms_norm_backward<T>,
    .rope_table = rope_table<T>,
    .rope_forward = rope_forward<T>,
    .rope_backward = rope_backward<T>,
    .attention_forward = attention_forward<T>,
    .attention_backward = attention_backward<T>,
    .cache_store = cache_store<T>,
    .attention_cached_forward = attention_cached_forward<T>,
    .swiglu_forward = swiglu_forward<T>,
    .swiglu_backward = swiglu_backward<T>,
    .nll_forward = nll_forward<T>,
    .nll_backward = nll_backward<T>,
    .soft_target_forward = soft_target_forward<T>,
    .soft_target_backward = soft_target_backward<T>,
    .distance_forward = distance_forward<T>,
    .distance_backward = distance_backward<T>,
    .log_prob_moments = log_prob_moments<T>,
    .sample_labels = sample_labels<T>,
    .adamw = adamw<T>,
    .sum_of_squares = sum_of_squares<T>,
    .cast = cast<T>,
    .accumulate = accumulate<T>,
};

}  // namespace expunge::cpu::EXPUNGE_CPU_LEVEL
