// A Llama over sharded parameters: its units, and the loop that gathers, computes and reduces them one by one.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <vector>

#include "expunge/core/device.h"
#include "expunge/fsdp/sharded_params.h"
#include "expunge/model/llama_config.h"
#include "expunge/model/token_batch.h"

namespace expunge {

// Dimensions: T tokens, D model, H heads, K kv heads, E head size, F mlp, V vocabulary, L layers.

/// What the backward pass recomputes: nothing; both norms and the SwiGLU product; the whole block but its input.
enum class Recompute { none, light, block };

/// The FSDP units of a model: embedding, each block, final norm with head. Tied embeddings are one unit with the final norm.
std::vector<UnitLayout> llama_units(const LlamaConfig& config, int world_size);

/// Bytes of activations that training keeps for a micro-batch of `tokens` tokens, scratch included.
std::size_t activation_bytes(const LlamaConfig& config, std::size_t tokens, Recompute recompute, std::size_t element_bytes);

template <Element T>
class Workspace;

/// The model's passes over a packed micro-batch. A rank with an empty batch makes the same calls as the others: the sequence
/// of collectives depends on the model alone.
template <Element T>
class Llama {
 public:
  using A = acc_t<T>;
  Llama(const LlamaConfig& config, ShardedParams<T>& params, Recompute recompute);
  ~Llama();

  const LlamaConfig& config() const { return config_; }
  /// Allocates for the largest micro-batch to come, so that no later pass does.
  void reserve(int tokens, bool training);
  /// Bytes of activations and scratch allocated.
  std::size_t workspace_bytes() const;
  ShardedParams<T>& params() { return params_; }

  /// One forward pass: each target's nll and each position's most likely next token.
  TokenScores<A> score(const TokenBatch& batch);

  /// One forward and backward pass for the loss sum_t weights[t] nll[t]: gradients are added to the parameters', and the
  /// scores of the same pass returned. weights (T) are known beforehand, so logits are scored and differentiated chunk by
  /// chunk, once.
  TokenScores<A> forward_backward(const TokenBatch& batch, std::span<const double> weights);

 private:
  struct DeviceBatch;
  int head_unit() const { return config_.tie_word_embeddings ? 0 : config_.num_hidden_layers + 1; }
  void forward(const TokenBatch& batch, const DeviceBatch& device);
  TokenScores<A> head(const TokenBatch& batch, const DeviceBatch& device, const A* weights, GradientLease<T>* gradients);
  void backward(const TokenBatch& batch, const DeviceBatch& device, GradientLease<T>&& head_gradients);

  LlamaConfig config_;
  ShardedParams<T>& params_;
  Recompute recompute_;
  const Kernels<T>& kernels_;
  std::unique_ptr<Workspace<T>> workspace_;
};

}  // namespace expunge
