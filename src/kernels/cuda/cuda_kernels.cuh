// The GPU's kernel table for any element type.
#pragma once

#include "kernels/cuda/adamw.cuh"
#include "kernels/cuda/attention.cuh"
#include "kernels/cuda/attention_cached.cuh"
#include "kernels/cuda/distance.cuh"
#include "kernels/cuda/embedding.cuh"
#include "kernels/cuda/flat.cuh"
#include "kernels/cuda/linear.h"
#include "kernels/cuda/log_prob_moments.cuh"
#include "kernels/cuda/nll.cuh"
#include "kernels/cuda/rms_norm.cuh"
#include "kernels/cuda/rope.cuh"
#include "kernels/cuda/sample_labels.cuh"
#include "kernels/cuda/soft_target.cuh"
#include "kernels/cuda/swiglu.cuh"

namespace expunge::cuda {

template <Element T>
void reserve(Stream& stream, int n, int dim, AttentionShape shape) {
  scratch<acc_t<T>>(stream, std::max(attention_scratch<T>(shape, n), Index(rms_norm_parts(n)) * Index(dim)));
  scratch<double>(stream, kSumBlocks);
}

/// Kernels that are enqueued on the stream. All pointers are device memory, except inside parameters passed by value.
template <Element T>
inline constexpr Kernels<T> kKernels{
    .reserve = reserve<T>,
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

}  // namespace expunge::cuda
