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

/// What the backward pass recomputes: nothing; both norms and the SwiGLU product; the whole block except its input.
enum class Recompute { none, light, block };

/// The FSDP units of a model: embedding, each block, final norm with head. Tied embeddings are one unit with the final norm.
std::vector<UnitLayout> llama_units(const LlamaConfig& config, int world_size);

/// Memory of a model's passes: activations with scratch, and a chunk of logits.
struct WorkspaceBytes {
  std::size_t activations = 0, logits = 0;
  std::size_t total() const { return activations + logits; }
};
/// The allocations of Llama<T>::reserve(tokens, training).
template <Element T>
WorkspaceBytes workspace_bytes(const LlamaConfig& config, int tokens, Recompute recompute, bool training, DeviceType device);
/// Number of tokens, in a pass over `tokens`, whose logits exist at one time.
int logits_chunk(int tokens, int vocabulary, DeviceType device);

template <Element T>
class Workspace;
template <Element T>
struct BlockCache;
template <Element T>
class Generator;
template <Element T>
class Llama;

/// Tokens begin .. end of a batch, and the signal that scores them.
struct SignalRows {
  int begin, end;
  Signal signal;
};

/// The loss of a training pass over a batch: the sum over tokens of weight times signal.
template <Element T>
struct LossSpec {
  std::vector<SignalRows> rows;  ///< cover the batch in order; rows that use the reference model come first
  /// dL/dsignal of every token (T), if known beforehand: each chunk of logits is then scored and differentiated at once.
  std::vector<double> weights;
  /// Otherwise computes the weights from the scores, after a separate pass over the logits.
  std::function<std::vector<double>(const TokenScores<acc_t<T>>&)> weigh;
  /// The reference model if any rank's rows use it; then every rank passes it.
  Llama<T>* reference = nullptr;
};

/// A loss on a block's output, where forward and backward pass stop.
template <Element T>
struct LayerLossSpec {
  int layer;                     ///< counted from 0
  std::vector<SignalRows> rows;  ///< as above; all of Kind::distance
  std::vector<double> weights;   ///< (T)
  std::vector<double> control;   ///< (D) for Target::control
  Llama<T>* reference = nullptr;
};

/// Whether scores include mean and variance of the log-probability, which need another pass over the logits.
enum class Moments { leave_out, include };

/// The model's passes over a packed micro-batch. A rank with an empty batch makes the same calls as the others. Only the
/// model determines the sequence of collectives.
template <Element T>
class Llama {
 public:
  using A = acc_t<T>;
  Llama(const LlamaConfig& config, ShardedParams<T>& params, Recompute recompute);
  ~Llama();

  const LlamaConfig& config() const { return config_; }
  /// Allocates for the largest micro-batch to come, so that later passes allocate nothing.
  void reserve(int tokens, bool training);
  /// Tokens of the largest batch that fits the allocated memory.
  int room() const;
  ShardedParams<T>& params() { return params_; }

  /// One forward pass: nll of each target, most likely next token of each position, and moments if requested.
  TokenScores<A> score(const TokenBatch& batch, Moments moments = Moments::leave_out);

  /// One forward and backward pass: adds to the parameters' gradients and returns the scores of the pass.
  TokenScores<A> forward_backward(const TokenBatch& batch, const LossSpec<T>& spec);
  /// The same for a loss on a block's output; the scores contain only the signal.
  TokenScores<A> forward_backward(const TokenBatch& batch, const LayerLossSpec<T>& spec);

  /// One forward pass that draws a label at each position from the model's distribution. Never draws `excluded` (T) if it is
  /// an id; `uniform` (T) are the random numbers.
  std::vector<std::int32_t> draw_labels(const TokenBatch& batch, std::span<const std::int32_t> excluded,
                                        std::span<const double> uniform, const LabelSampling& sampling);

 private:
  friend class Generator<T>;
  struct DeviceBatch;
  struct Head;
  int head_unit() const { return config_.tie_word_embeddings ? 0 : config_.num_hidden_layers + 1; }
  /// Output of block `layer`, (T, D) in the workspace.
  T* block_output(int layer) const;
  /// Computes the embedding and the first `blocks` blocks, each with its cache if there are caches.
  void forward(const TokenBatch& batch, const DeviceBatch& device, int blocks, std::span<const BlockCache<T>> caches = {});
  /// forward() of the reference model over the first sequences of a batch, up to the last row that uses it.
  void forward_reference(const TokenBatch& batch, std::span<const SignalRows> rows, int blocks);
  Head open_head(int tokens);
  A* logits(const Head& head, int begin, int rows);
  void upload_weights(const std::vector<double>& weights);
  void score_rows(const Head& head, const SignalRows& rows, const DeviceBatch& device, const A* target);
  void differentiate_rows(const Head& head, const SignalRows& rows, const DeviceBatch& device, const A* target,
                          GradientLease<T>& gradients);
  TokenScores<A> train_head(const TokenBatch& batch, const DeviceBatch& device, const LossSpec<T>& spec,
                            GradientLease<T>& gradients);
  /// Copies the scores from the workspace; they are there after the compute stream has been synchronised.
  TokenScores<A> read_scores(int tokens);
  /// Blocks `blocks` - 1 .. 0 and the embedding, from workspace dx. A tied head shares the embedding's gradients.
  void backward(const TokenBatch& batch, const DeviceBatch& device, int blocks, std::optional<GradientLease<T>> embedding);

  LlamaConfig config_;
  ShardedParams<T>& params_;
  Recompute recompute_;
  const Kernels<T>& kernels_;
  std::unique_ptr<Workspace<T>> workspace_;
};

}  // namespace expunge
