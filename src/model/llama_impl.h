// The model's loop over its units. Included where an element type is instantiated.
#pragma once

#include <algorithm>

#include "expunge/core/error.h"
#include "expunge/model/llama.h"
#include "llama_block.h"
#include "workspace.h"

namespace expunge {

/// A batch's integers on the device.
template <Element T>
struct Llama<T>::DeviceBatch {
  DeviceBatch(const TokenBatch& batch, const Runtime& runtime)
      : ids(upload(batch.ids, runtime)), labels(upload(batch.labels, runtime)), offsets(upload(batch.offsets, runtime)) {}

  static Buffer<std::int32_t> upload(const std::vector<std::int32_t>& host, const Runtime& runtime) {
    Buffer<std::int32_t> buffer(runtime.device, host.size());
    copy_bytes(runtime.compute, buffer.data(), host.data(), buffer.bytes());
    return buffer;
  }

  Buffer<std::int32_t> ids, labels, offsets;
};

template <Element T>
Llama<T>::Llama(const LlamaConfig& config, ShardedParams<T>& params, Recompute recompute)
    : config_(config),
      params_(params),
      recompute_(recompute),
      kernels_(kernels<T>(params.runtime().device)),
      workspace_(std::make_unique<Workspace<T>>(config, params.runtime().device, recompute)) {
  check(params.units() == head_unit() + 1 || config.tie_word_embeddings, "parameters are laid out for another model");
}

template <Element T>
Llama<T>::~Llama() = default;

template <Element T>
void Llama<T>::reserve(int tokens, bool training) {
  workspace_->reserve(tokens, training);
}

template <Element T>
std::size_t Llama<T>::workspace_bytes() const {
  return workspace_->bytes();
}

template <Element T>
auto Llama<T>::score(const TokenBatch& batch) -> TokenScores<A> {
  workspace_->reserve(batch.tokens(), false);
  const DeviceBatch device(batch, params_.runtime());
  forward(batch, device);
  return head(batch, device, nullptr, nullptr);
}

template <Element T>
auto Llama<T>::forward_backward(const TokenBatch& batch, std::span<const double> weights) -> TokenScores<A> {
  check(weights.size() == batch.ids.size(), "one weight a token");
  workspace_->reserve(batch.tokens(), true);
  const DeviceBatch device(batch, params_.runtime());
  forward(batch, device);
  const std::vector<A> rounded(weights.begin(), weights.end());
  copy_bytes(params_.runtime().compute, workspace_->weights(), rounded.data(), rounded.size() * sizeof(A));
  GradientLease<T> head_gradients = params_.gradients(head_unit());
  TokenScores<A> scores = head(batch, device, workspace_->weights(), &head_gradients);
  backward(batch, device, std::move(head_gradients));
  return scores;
}

template <Element T>
void Llama<T>::forward(const TokenBatch& batch, const DeviceBatch& device) {
  const Runtime& runtime = params_.runtime();
  const int n = batch.tokens(), layers = config_.num_hidden_layers;
  const auto block_or_head = [&](int unit) { return unit <= layers ? unit : head_unit(); };
  {
    const Buffer<std::int32_t> positions = DeviceBatch::upload(batch.positions, runtime);
    kernels_.rope_table(runtime.compute, workspace_->cos_sin(), positions.data(), n, config_.head_dim, config_.rope_theta);
    const Lease<T> embedding = params_.gather(0);
    params_.prefetch(1);
    const ParameterView& table = params_.layout(0).views().front();
    kernels_.embedding_forward(runtime.compute, workspace_->block(0).x, embedding.view(table), device.ids.data(), n,
                               config_.hidden_size);
  }
  const LlamaBlock<T> block(kernels_, runtime.compute, BlockShape(config_));
  const BlockInput<T> input{n, batch.sequences(), device.offsets.data(), workspace_->cos_sin()};
  for (int l = 0; l < layers; ++l) {
    const Lease<T> lease = params_.gather(l + 1);
    params_.prefetch(block_or_head(l + 2));
    T* const y = l + 1 < layers ? workspace_->block(l + 1).x : workspace_->output();
    block.forward(y, workspace_->block(l), {lease.data(), params_.layout(l + 1)}, input);
  }
}

/// Final norm, logits in chunks of tokens, scores; with `weights` also the gradient down to the last block's output, in
/// workspace dx. weights (T) on the device
template <Element T>
auto Llama<T>::head(const TokenBatch& batch, const DeviceBatch& device, const A* weights, GradientLease<T>* gradients) -> TokenScores<A> {
  Stream& stream = params_.runtime().compute;
  Workspace<T>& w = *workspace_;
  const int n = batch.tokens(), dim = config_.hidden_size, vocabulary = config_.vocab_size;
  const UnitLayout& layout = params_.layout(head_unit());
  const ParameterView& norm = layout.views()[config_.tie_word_embeddings ? 1 : 0];
  const ParameterView& matrix = layout.views()[config_.tie_word_embeddings ? 0 : 1];
  const Lease<T> lease = params_.gather(head_unit());
  if (weights) params_.prefetch(config_.num_hidden_layers);

  kernels_.rms_norm_forward(stream, w.norm(), w.rstd(), w.output(), lease.view(norm), n, dim, config_.rms_norm_eps);
  Buffer<std::int32_t> predictions(params_.runtime().device, static_cast<std::size_t>(n));
  T* const dnorm = w.scratch().dnorm;
  for (int begin = 0; begin < n; begin += w.chunk()) {
    const int rows = std::min(w.chunk(), n - begin);
    const std::size_t first = static_cast<std::size_t>(begin) * static_cast<std::size_t>(dim);
    const std::int32_t* labels = device.labels.data() + begin;
    kernels_.logits_forward(stream, w.logits(), w.norm() + first, lease.view(matrix), rows, dim, vocabulary);
    kernels_.nll_forward(stream, w.nll() + begin, w.lse() + begin, predictions.data() + begin, w.logits(), labels, rows,
                         vocabulary);
    if (!weights) continue;
    kernels_.nll_backward(stream, w.dlogits(), w.logits(), w.lse() + begin, labels, weights + begin, rows, vocabulary);
    kernels_.linear_backward(stream, dnorm + first, gradients->view(matrix), w.dlogits(), w.norm() + first, lease.view(matrix),
                             rows, dim, vocabulary, Write::set);
  }
  if (weights)
    kernels_.rms_norm_backward(stream, w.dx(), gradients->view(norm), dnorm, w.output(), lease.view(norm), w.rstd(), n, dim,
                               Write::set);

  TokenScores<A> scores{std::vector<A>(static_cast<std::size_t>(n)), std::vector<std::int32_t>(static_cast<std::size_t>(n))};
  copy_bytes(stream, scores.nll.data(), w.nll(), scores.nll.size() * sizeof(A));
  copy_bytes(stream, scores.predictions.data(), predictions.data(), predictions.bytes());
  stream.synchronize();
  return scores;
}

template <Element T>
void Llama<T>::backward(const TokenBatch& batch, const DeviceBatch& device, GradientLease<T>&& head_gradients) {
  const Runtime& runtime = params_.runtime();
  const int n = batch.tokens();
  const bool tied = config_.tie_word_embeddings;
  if (!tied) params_.reduce(head_unit(), std::move(head_gradients));
  const LlamaBlock<T> block(kernels_, runtime.compute, BlockShape(config_));
  const BlockInput<T> input{n, batch.sequences(), device.offsets.data(), workspace_->cos_sin()};
  for (int l = config_.num_hidden_layers - 1; l >= 0; --l) {
    const Lease<T> lease = params_.gather(l + 1);
    if (l > 0) params_.prefetch(l);
    GradientLease<T> gradients = params_.gradients(l + 1);
    block.backward(workspace_->dx(), {gradients.data(), params_.layout(l + 1)}, workspace_->scratch(), workspace_->block(l),
                   {lease.data(), params_.layout(l + 1)}, input, recompute_);
    params_.reduce(l + 1, std::move(gradients));
  }
  GradientLease<T> gradients = tied ? std::move(head_gradients) : params_.gradients(0);
  const ParameterView& table = params_.layout(0).views().front();
  kernels_.embedding_backward(runtime.compute, gradients.view(table), workspace_->dx(), device.ids.data(), n,
                              config_.hidden_size);
  params_.reduce(0, std::move(gradients));
}

}  // namespace expunge
