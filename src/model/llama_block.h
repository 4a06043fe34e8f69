// One Llama block, forward and backward, on whole weights of one unit; independent of ranks and sharding.
#pragma once

#include "expunge/device.h"
#include "expunge/kernels.h"
#include "fsdp/unit_layout.h"
#include "model/llama.h"

namespace expunge {

// Dimensions: T tokens, D model, H heads, K kv heads, E head size, F mlp.

/// Order of a block unit's parameters; q, k, v and gate, up are adjacent, so each group is one matrix.
enum BlockParameter { kInputNorm, kQuery, kKey, kValue, kOutput, kPostNorm, kGate, kUp, kDown };

/// Sizes that a block's activations and kernels share.
struct BlockShape {
  explicit BlockShape(const LlamaConfig& config)
      : dim(config.hidden_size),
        mlp(config.intermediate_size),
        attention{config.num_attention_heads, config.num_key_value_heads, config.head_dim},
        rms_norm_eps(config.rms_norm_eps) {}
  int heads_width() const { return attention.heads * attention.head_size; }  ///< H E

  int dim, mlp;
  AttentionShape attention;
  double rms_norm_eps;
};

/// The unit's flat vector as matrices. P is const T* for weights and acc_t<T>* for gradients.
template <typename P>
struct BlockMatrices {
  BlockMatrices(P unit, const UnitLayout& layout) {
    const auto at = [&](BlockParameter p) { return unit + layout.views()[p].offset; };
    input_norm = at(kInputNorm);
    qkv = at(kQuery);
    output = at(kOutput);
    post_norm = at(kPostNorm);
    gate_up = at(kGate);
    down = at(kDown);
  }
  P input_norm;  // (D)
  P qkv;         // ((H + 2K) E, D)
  P output;      // (D, H E)
  P post_norm;   // (D)
  P gate_up;     // (2F, D)
  P down;        // (D, F)
};

/// Arrays that the forward pass leaves for the backward pass. The recompute policy decides which ones blocks share.
template <Element T>
struct BlockActivations {
  T* x;             // (T, D) the block's input
  acc_t<T>* rstd1;  // (T)
  T* norm1;         // (T, D)
  T* qkv;           // (T, H + 2K, E) rotated
  acc_t<T>* lse;    // (H, T)
  T* attention;     // (T, H, E)
  T* middle;        // (T, D) x + attention output
  acc_t<T>* rstd2;  // (T)
  T* norm2;         // (T, D)
  T* gate_up;       // (T, 2F)
  T* product;       // (T, F) SwiGLU
};

/// Gradients inside a block, shared by all blocks.
template <Element T>
struct BlockScratch {
  T* dnorm;       // (T, D)
  T* dqkv;        // (T, H + 2K, E)
  T* dattention;  // (T, H, E)
  T* dgate_up;    // (T, 2F)
  T* dproduct;    // (T, F)
};

/// Cache of keys and values of earlier passes, to which a pass adds its own.
template <Element T>
struct BlockCache {
  T* rows = nullptr;                      // (rows, 2K, E); null: no cache
  const std::int32_t* slots = nullptr;    // (T) the row of each token
  const std::int32_t* starts = nullptr;   // (sequences) first row of each sequence
  const std::int32_t* lengths = nullptr;  // (sequences) rows that its one token sees; null: tokens see those of the pass
};

/// A packed micro-batch on the device.
template <Element T>
struct BlockInput {
  int tokens, sequences;
  const std::int32_t* offsets;  // (sequences + 1)
  const acc_t<T>* cos_sin;      // (T, E)
  BlockCache<T> cache = {};
};

template <Element T>
class LlamaBlock {
 public:
  using A = acc_t<T>;
  LlamaBlock(const Kernels<T>& kernels, Stream& stream, const BlockShape& shape)
      : kernels_(kernels), stream_(stream), shape_(shape) {}

  /// y = block(a.x); fills a's other arrays. y (T, D)
  void forward(T* y, const BlockActivations<T>& a, const BlockMatrices<const T*>& w, const BlockInput<T>& in) const {
    attend(a, w, in);
    feed(a, w, in);
    kernels_.linear_forward(stream_, y, a.product, w.down, a.middle, in.tokens, shape_.mlp, shape_.dim);
  }

  /// Replaces dx, the gradient of the block's output, by that of its input; weight gradients +=. dx (T, D)
  void backward(T* dx, const BlockMatrices<A*>& dw, const BlockScratch<T>& d, const BlockActivations<T>& a,
                const BlockMatrices<const T*>& w, const BlockInput<T>& in, Recompute recompute) const {
    const int n = in.tokens, dim = shape_.dim, mlp = shape_.mlp;
    if (recompute == Recompute::block) {
      attend(a, w, in);
      feed(a, w, in);
    } else if (recompute == Recompute::light) {
      kernels_.rms_norm_forward(stream_, a.norm1, a.rstd1, a.x, w.input_norm, n, dim, shape_.rms_norm_eps);
      kernels_.rms_norm_forward(stream_, a.norm2, a.rstd2, a.middle, w.post_norm, n, dim, shape_.rms_norm_eps);
      kernels_.swiglu_forward(stream_, a.product, a.gate_up, n, mlp);
    }

    kernels_.linear_backward(stream_, d.dproduct, dw.down, dx, a.product, w.down, n, mlp, dim, Write::set);
    kernels_.swiglu_backward(stream_, d.dgate_up, d.dproduct, a.gate_up, n, mlp);
    kernels_.linear_backward(stream_, d.dnorm, dw.gate_up, d.dgate_up, a.norm2, w.gate_up, n, dim, 2 * mlp, Write::set);
    kernels_.rms_norm_backward(stream_, dx, dw.post_norm, d.dnorm, a.middle, w.post_norm, a.rstd2, n, dim, Write::add);

    const AttentionShape& attention = shape_.attention;
    kernels_.linear_backward(stream_, d.dattention, dw.output, dx, a.attention, w.output, n, shape_.heads_width(), dim,
                             Write::set);
    kernels_.attention_backward(stream_, d.dqkv, d.dattention, a.qkv, a.attention, a.lse, in.offsets, in.sequences, n,
                                attention);
    kernels_.rope_backward(stream_, d.dqkv, in.cos_sin, n, attention);
    kernels_.linear_backward(stream_, d.dnorm, dw.qkv, d.dqkv, a.norm1, w.qkv, n, dim, attention.qkv_width(), Write::set);
    kernels_.rms_norm_backward(stream_, dx, dw.input_norm, d.dnorm, a.x, w.input_norm, a.rstd1, n, dim, Write::add);
  }

 private:
  /// x to middle: norm, attention, residual.
  void attend(const BlockActivations<T>& a, const BlockMatrices<const T*>& w, const BlockInput<T>& in) const {
    const int n = in.tokens, dim = shape_.dim;
    const AttentionShape& attention = shape_.attention;
    kernels_.rms_norm_forward(stream_, a.norm1, a.rstd1, a.x, w.input_norm, n, dim, shape_.rms_norm_eps);
    kernels_.linear_forward(stream_, a.qkv, a.norm1, w.qkv, nullptr, n, dim, attention.qkv_width());
    kernels_.rope_forward(stream_, a.qkv, in.cos_sin, n, attention);
    if (in.cache.rows) kernels_.cache_store(stream_, in.cache.rows, a.qkv, in.cache.slots, n, attention);
    if (in.cache.lengths)
      kernels_.attention_cached_forward(stream_, a.attention, a.qkv, in.cache.rows, in.cache.starts, in.cache.lengths, n,
                                        attention);
    else
      kernels_.attention_forward(stream_, a.attention, a.lse, a.qkv, in.offsets, in.sequences, n, attention);
    kernels_.linear_forward(stream_, a.middle, a.attention, w.output, a.x, n, shape_.heads_width(), dim);
  }

  /// middle to the SwiGLU product.
  void feed(const BlockActivations<T>& a, const BlockMatrices<const T*>& w, const BlockInput<T>& in) const {
    const int n = in.tokens;
    kernels_.rms_norm_forward(stream_, a.norm2, a.rstd2, a.middle, w.post_norm, n, shape_.dim, shape_.rms_norm_eps);
    kernels_.linear_forward(stream_, a.gate_up, a.norm2, w.gate_up, nullptr, n, shape_.dim, 2 * shape_.mlp);
    kernels_.swiglu_forward(stream_, a.product, a.gate_up, n, shape_.mlp);
  }

  const Kernels<T>& kernels_;
  Stream& stream_;
  BlockShape shape_;
};

}  // namespace expunge
