// A Llama over sharded parameters: its units, and the loop that gathers, computes and reduces them one by one.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "expunge/device.h"
#include "expunge/token_signal.h"
#include "fsdp/sharded_params.h"
#include "model/llama_config.h"
#include "model/token_batch.h"

namespace expunge {

// Dimensions: T tokens, D model, H heads, K kv heads, E head size, F mlp, V vocabulary, L layers.

/// What the backward pass recomputes: nothing; both norms and the SwiGLU product; the whole block but its input.
enum class Recompute { none, light, block };

/// The FSDP units of a model: embedding, each block, final norm with head. Tied embeddings are one unit with the final norm.
std::vector<UnitLayout> llama_units(const LlamaConfig& config, int world_size);

/// Memory of a model's passes: activations and scratch, and a chunk of logits.
struct WorkspaceBytes {
  std::size_t activations = 0, logits = 0;
  std::size_t total() const { return activations + logits; }
};
/// What Llama<T>::reserve(tokens, training) allocates.
template <Element T>
WorkspaceBytes workspace_bytes(const LlamaConfig& config, int tokens, Recompute recompute, bool training, DeviceType device);
/// Tokens, of a pass over `tokens`, whose logits exist at a time.
int logits_chunk(int tokens, int vocabulary, DeviceType device);

template <Element T>
class Workspace;
template <Element T>
struct BlockCache;
template <Element T>
class Generator;
template <Element T>
class Llama;

/// Tokens begin .. end of a batch and the signal that scores them.
struct SignalRows {
  int begin, end;
  Signal signal;
};

/// What a training pass over a batch minimises: sum over tokens of weight times signal.
template <Element T>
struct LossPlan {
  std::vector<SignalRows> rows;  ///< cover the batch in order; those that use the reference model come first
  /// dL/dsignal of every token (T), where it is known beforehand: each chunk of logits is scored and differentiated at once.
  std::vector<double> weights;
  /// Otherwise: makes them from the scores, in a pass over the logits of its own.
  std::function<std::vector<double>(const TokenScores<acc_t<T>>&)> weigh;
  /// The frozen model, if any rank's rows need it: then every rank names it, whatever its own rows.
  Llama<T>* reference = nullptr;
};

/// A loss on a block's output: forward and backward stop there.
template <Element T>
struct LayerPlan {
  int layer;                     ///< counted from 0
  std::vector<SignalRows> rows;  ///< as above; all of Kind::distance
  std::vector<double> weights;   ///< (T)
  std::vector<double> control;   ///< (D) for Target::control
  Llama<T>* reference = nullptr;
};

/// Whether scores hold mean and variance of the log-probability, which cost another look at each logit.
enum class Moments { leave_out, include };

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
  /// Tokens of the largest batch for which there is room already.
  int room() const;
  ShardedParams<T>& params() { return params_; }

  /// One forward pass: each target's nll and each position's most likely next token, and if asked for the moments.
  TokenScores<A> score(const TokenBatch& batch, Moments moments = Moments::leave_out);

  /// One forward and backward pass: gradients are added to the parameters', and the scores of the same pass returned.
  TokenScores<A> forward_backward(const TokenBatch& batch, const LossPlan<T>& plan);
  /// The same for a loss on a block's output. Of the scores there is the signal alone.
  TokenScores<A> forward_backward(const TokenBatch& batch, const LayerPlan<T>& plan);

  /// One forward pass that draws a label at each position from the model's distribution; `excluded` (T) is never drawn where it
  /// is an id, `uniform` (T) decides.
  std::vector<std::int32_t> draw_labels(const TokenBatch& batch, std::span<const std::int32_t> excluded,
                                        std::span<const double> uniform, const LabelSampling& sampling);

 private:
  friend class Generator<T>;
  struct DeviceBatch;
  struct Head;
  int head_unit() const { return config_.tie_word_embeddings ? 0 : config_.num_hidden_layers + 1; }
  /// Output of block `layer`, (T, D) in the workspace.
  T* block_output(int layer) const;
  /// Embedding and the first `blocks` blocks, each with its cache where there are any.
  void forward(const TokenBatch& batch, const DeviceBatch& device, int blocks, std::span<const BlockCache<T>> caches = {});
  /// forward() of the frozen model over the first sequences of a batch, up to the rows that need it.
  void forward_reference(const TokenBatch& batch, std::span<const SignalRows> rows, int blocks);
  Head open_head(int tokens);
  A* logits(const Head& head, int begin, int rows);
  void upload_weights(const std::vector<double>& weights);
  void score_rows(const Head& head, const SignalRows& rows, const DeviceBatch& device, const A* target);
  void differentiate_rows(const Head& head, const SignalRows& rows, const DeviceBatch& device, const A* target,
                          GradientLease<T>& gradients);
  TokenScores<A> train_head(const TokenBatch& batch, const DeviceBatch& device, const LossPlan<T>& plan,
                            GradientLease<T>& gradients);
  /// What the workspace holds; there when the compute stream has been synchronised.
  TokenScores<A> read_scores(int tokens);
  /// Blocks `blocks` - 1 .. 0 and the embedding, from workspace dx. A tied head's gradients are the embedding's.
  void backward(const TokenBatch& batch, const DeviceBatch& device, int blocks, std::optional<GradientLease<T>> embedding);

  LlamaConfig config_;
  ShardedParams<T>& params_;
  Recompute recompute_;
  const Kernels<T>& kernels_;
  std::unique_ptr<Workspace<T>> workspace_;
};

}  // namespace expunge
