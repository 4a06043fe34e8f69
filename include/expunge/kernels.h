// The table of compute kernels: a back end is one constant of this struct per element type.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "expunge/device.h"
#include "expunge/dtype.h"

namespace expunge {

// Dimensions: T tokens of a packed micro-batch, D model, H heads, K kv heads, E head size, F mlp, V vocabulary.
// Arrays are dense and row-major. Outputs come first, then inputs, then sizes. "=" overwrites, "+=" accumulates.
// Every kernel accepts zero tokens. Kernels are deterministic for a given number of threads.

enum class Write { set, add };

struct AttentionShape {
  int heads;      ///< H
  int kv_heads;   ///< K, divides H; query head h reads kv head h / (H / K)
  int head_size;  ///< E, even
  constexpr int qkv_width() const {
    return (heads + 2 * kv_heads) * head_size;
  }  ///< one row of qkv: H query heads, K keys, K values
};

/// One AdamW update (Loshchilov and Hutter 2019, as torch.optim.AdamW computes it).
struct AdamWStep {
  double learning_rate, beta1, beta2, epsilon, weight_decay;
  double bias_correction1, bias_correction2;  ///< 1 - beta^step
  double gradient_scale;                      ///< gradients are multiplied by this first (clipping)
  bool round_to_bf16;                         ///< store weights rounded to bfloat16 (--master-weights bf16)
};

/// Cross-entropy with soft targets. p = softmax(logits); q = softmax(target_logits - label_shift onehot(label)) is held
/// constant. A token's signal is -sum of q log(p + epsilon). subtract_entropy subtracts the entropy of q, which gives KL(q ||
/// p). Self-distillation (Dong et al. 2024) shifts the label; an infinite shift removes it from q (vocabulary at least 2). A
/// label < 0 shifts nothing.
struct SoftTarget {
  double label_shift;     ///< 0 for none
  double epsilon;         ///< 0 for the exact logarithm, which cannot underflow
  bool subtract_entropy;  ///< a constant: the gradient is the same
};

/// The ids that sample_labels may draw.
struct LabelSampling {
  int top_k;               ///< keep the top_k most likely ids, the lowest ids among equals; 0: all
  double top_p;            ///< of those keep the fewest most likely ids whose probabilities sum to top_p or more; 1: all
  int vocabulary_limit;    ///< only ids below this, 1 .. V
  double temperature = 1;  ///< logits are divided by this first; above 0
};

template <Element T>
struct Kernels {
  using A = acc_t<T>;

  /// Allocates the GPU memory that the kernels of a training pass over at most n tokens need for themselves. A run calls it
  /// first because it must not allocate later. Without this call, kernels allocate when they need it.
  void (*reserve)(Stream&, int n, int dim, AttentionShape);

  /// y = x w^T + residual, rounded once.  y, residual (n, out), x (n, in), w (out, in); residual may be null (no
  /// residual) or y
  void (*linear_forward)(Stream&, T* y, const T* x, const T* w, const T* residual, int n, int in, int out);
  /// dx (=|+=) dy w;  dw += dy^T x.  dx (n, in) or null to skip, dw (out, in) or null to skip
  void (*linear_backward)(Stream&, T* dx, A* dw, const T* dy, const T* x, const T* w, int n, int in, int out, Write);
  /// logits = h w^T in the accumulation type.  logits (n, V), h (n, D), w (V, D)
  void (*logits_forward)(Stream&, A* logits, const T* h, const T* w, int n, int dim, int vocabulary);

  /// y = table[ids].  y (n, D), table (V, D)
  void (*embedding_forward)(Stream&, T* y, const T* table, const std::int32_t* ids, int n, int dim);
  /// dtable[ids] += dy
  void (*embedding_backward)(Stream&, A* dtable, const T* dy, const std::int32_t* ids, int n, int dim);

  /// rstd = 1 / sqrt(mean(x^2) + eps);  y = x rstd w (Zhang and Sennrich 2019).  rstd (n)
  void (*rms_norm_forward)(Stream&, T* y, A* rstd, const T* x, const T* w, int n, int dim, double eps);
  /// dx (=|+=), dw +=
  void (*rms_norm_backward)(Stream&, T* dx, A* dw, const T* dy, const T* x, const T* w, const A* rstd, int n, int dim, Write);

  /// cos_sin (n, E): cosines of the E/2 angles, then sines; angle i of position p is p theta^(-2i/E) (Su et al. 2021).
  /// Frequency and angle are rounded to float32, as in the reference implementation; not for double and complex.
  void (*rope_table)(Stream&, A* cos_sin, const std::int32_t* positions, int n, int head_size, double theta);
  /// Rotates queries and keys of qkv (n, H + 2K, E) in place; element i pairs with i + E/2, as Hugging Face stores Llama.
  void (*rope_forward)(Stream&, T* qkv, const A* cos_sin, int n, AttentionShape);
  /// Rotates dqkv back in place.
  void (*rope_backward)(Stream&, T* dqkv, const A* cos_sin, int n, AttentionShape);

  /// Causal grouped-query attention over packed sequences: tokens offsets[s] .. offsets[s+1] attend within s, scaled by
  /// 1/sqrt(E).  out (T, H, E); lse (H, T) log-sum-exp of the scaled scores; qkv (T, H + 2K, E); offsets (sequences + 1).
  /// tokens is T, the last offset.  Blocked over keys: scratch memory is linear in T.
  void (*attention_forward)(Stream&, T* out, A* lse, const T* qkv, const std::int32_t* offsets, int sequences, int tokens,
                            AttentionShape);
  /// dqkv = gradient through the attention, scores recomputed from lse.  dqkv, dout, qkv, out as above
  void (*attention_backward)(Stream&, T* dqkv, const T* dout, const T* qkv, const T* out, const A* lse,
                             const std::int32_t* offsets, int sequences, int tokens, AttentionShape);

  /// cache[slots] = the keys and values of qkv.  cache (rows, 2K, E): K keys, then K values; qkv (n, H + 2K, E), slots (n)
  void (*cache_store)(Stream&, T* cache, const T* qkv, const std::int32_t* slots, int n, AttentionShape);
  /// Attention of one query per sequence (in qkv) to cache rows starts .. starts + lengths, scaled by 1/sqrt(E). Equals the
  /// last row of attention_forward if the query's own key is cached.  out (n, H, E), starts, lengths (n), lengths at least 1
  void (*attention_cached_forward)(Stream&, T* out, const T* qkv, const T* cache, const std::int32_t* starts,
                                   const std::int32_t* lengths, int n, AttentionShape);

  /// y = silu(gate) up (Shazeer 2020).  y (n, F); gate_up (n, 2F): F gates, then F ups
  void (*swiglu_forward)(Stream&, T* y, const T* gate_up, int n, int mlp);
  /// dgate_up =
  void (*swiglu_backward)(Stream&, T* dgate_up, const T* dy, const T* gate_up, int n, int mlp);

  /// nll = logsumexp(logits) - logits[label], 0 where label < 0;  prediction = arg-max, the lowest id among equals.
  /// nll, lse (n) and prediction (n); logits (n, V)
  void (*nll_forward)(Stream&, A* nll, A* lse, std::int32_t* prediction, const A* logits, const std::int32_t* labels, int n,
                      int vocabulary);
  /// dlogits = dnll (softmax(logits) - onehot(label)), 0 where label < 0.  dlogits may be logits itself when T is A
  void (*nll_backward)(Stream&, T* dlogits, const A* logits, const A* lse, const std::int32_t* labels, const A* dnll, int n,
                       int vocabulary);

  /// signal (n) of SoftTarget; target_lse (n) = log-sum-exp of the shifted target logits; lse from nll_forward.  logits,
  /// target_logits (n, V)
  void (*soft_target_forward)(Stream&, A* signal, A* target_lse, const A* logits, const A* lse, const A* target_logits,
                              const std::int32_t* labels, int n, int vocabulary, const SoftTarget&);
  /// dlogits = dsignal (c p - q p / (p + epsilon)) with c = sum of q p / (p + epsilon); without epsilon, dsignal (p - q).
  /// target_logits may be logits itself and stays a constant; dlogits may be either when T is A
  void (*soft_target_backward)(Stream&, T* dlogits, const A* logits, const A* lse, const A* target_logits, const A* target_lse,
                               const std::int32_t* labels, const A* dsignal, int n, int vocabulary, const SoftTarget&);
  /// signal = mean over D of (h - target)^2.  signal (n), h (n, D), target (n, D), or (D) for all tokens when one_target
  void (*distance_forward)(Stream&, A* signal, const T* h, const T* target, bool one_target, int n, int dim);
  /// dh = dsignal 2 (h - target) / D
  void (*distance_backward)(Stream&, T* dh, const T* h, const T* target, bool one_target, const A* dsignal, int n, int dim);
  /// Moments of log p for p = softmax(logits), as Min-K%++ (Zhang et al. 2024) uses them. Mean = sum of p log p, variance =
  /// sum of p (log p - mean)^2, at least 0.  mean, variance, lse (n); logits (n, V)
  void (*log_prob_moments)(Stream&, A* mean, A* variance, const A* logits, const A* lse, int n, int vocabulary);
  /// Draws an id from softmax(logits), filtered by LabelSampling and renormalised; never excluded[t] (< 0: nothing is
  /// excluded). Takes the first id, by falling probability, whose cumulative probability exceeds uniform[t] in [0, 1).
  /// Returns -1 if no id is left or, for top_k 1, if logits are not numbers.  chosen, excluded, uniform (n)
  void (*sample_labels)(Stream&, std::int32_t* chosen, const A* logits, const std::int32_t* excluded, const double* uniform,
                        int n, int vocabulary, const LabelSampling&);

  /// Updates weights w, first moment m and second moment v (n) from gradients g (n), each in one pass.
  void (*adamw)(Stream&, A* w, A* m, A* v, const A* g, std::size_t n, const AdamWStep&);
  /// *sum += sum of x^2, added in double in an order that depends on n alone.  sum is device memory too
  void (*sum_of_squares)(Stream&, double* sum, const A* x, std::size_t n);
  /// y = x, rounded
  void (*cast)(Stream&, T* y, const A* x, std::size_t n);
  /// y += x
  void (*accumulate)(Stream&, A* y, const A* x, std::size_t n);
};

/// The kernels of a device; only this function branches on the device type. Throws Error(usage) if this build lacks the back
/// end. Instantiated for float, bf16 and double.
template <Element T>
const Kernels<T>& kernels(Device device);

/// From now on CUDA's float32 products round their inputs to TensorFloat-32. Throws Error(usage) in a build without CUDA.
void use_tf32();

/// Whether a device multiplies bf16 faster than float. Every supported GPU does. A CPU without bf16 instructions does not;
/// its bf16 products are computed in float.
bool has_bf16_products(DeviceType device);

/// Instruction sets of the CPU kernels and of oneDNN, for example "AVX2, oneDNN avx2". They are the best that the processor
/// supports and ONEDNN_MAX_CPU_ISA allows. Results of another set may round differently.
std::string cpu_kernels();

/// Sums the parts of all ranks on a GPU, in fp32: sum[i] = parts[0][i] + parts[1][i] + ... in this order. sum (n),
/// parts (ranks, n). Throws Error(usage) in a build without CUDA.
void sum_parts(Stream& stream, float* sum, const bf16* parts, int ranks, std::size_t n);

}  // namespace expunge
