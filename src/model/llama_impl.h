// The model's loop over its units, for scoring and the backward pass. Included where an element type is instantiated.
#pragma once

#include <algorithm>
#include <ranges>

#include "expunge/error.h"
#include "model/llama.h"
#include "model/llama_block.h"
#include "model/workspace.h"

namespace expunge {

/// A batch's integers on the device. All batches use blocks of one size, `room` integers, so that the pool can reuse them.
template <Element T>
struct Llama<T>::DeviceBatch {
  DeviceBatch(const TokenBatch& batch, std::size_t room, const Runtime& runtime)
      : ids(upload(batch.ids, runtime, room)),
        labels(upload(batch.labels, runtime, room)),
        positions(upload(batch.positions, runtime, room)),
        offsets(upload(batch.offsets, runtime, room)) {}

  template <std::ranges::contiguous_range Host>
  static auto upload(const Host& host, const Runtime& runtime, std::size_t room = 0) {
    Buffer<std::ranges::range_value_t<Host>> buffer(runtime.device, std::max(room, std::ranges::size(host)));
    copy_to_device(runtime.compute, buffer.data(), std::ranges::data(host),
                   std::ranges::size(host) * sizeof(std::ranges::range_value_t<Host>));
    return buffer;
  }

  Buffer<std::int32_t> ids, labels, positions, offsets;
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
  if (training) kernels_.reserve(params_.runtime().compute, tokens, config_.hidden_size, BlockShape(config_).attention);
}

template <Element T>
int Llama<T>::room() const {
  return workspace_->tokens();
}

template <Element T>
auto Llama<T>::score(const TokenBatch& batch, Moments moments) -> TokenScores<A> {
  Workspace<T>& w = *workspace_;
  w.reserve(batch.tokens(), false);
  const DeviceBatch device(batch, w.batch_room(), params_.runtime());
  forward(batch, device, config_.num_hidden_layers);
  const Head head = open_head(batch.tokens());
  Stream& stream = params_.runtime().compute;
  const std::size_t moment_rows = moments == Moments::include ? batch.ids.size() : 0;
  Buffer<A> mean(params_.runtime().device, moment_rows), variance(params_.runtime().device, moment_rows);
  for (int begin = 0; begin < batch.tokens(); begin += w.chunk()) {
    const int end = std::min(begin + w.chunk(), batch.tokens());
    score_rows(head, {begin, end, {}}, device, nullptr);
    if (moment_rows > 0)
      kernels_.log_prob_moments(stream, mean.data() + begin, variance.data() + begin, w.logits(), w.lse() + begin, end - begin,
                                config_.vocab_size);
  }
  TokenScores<A> scores = read_scores(batch.tokens());
  for (const auto& [to, from] : {std::pair(&scores.mean, &mean), std::pair(&scores.variance, &variance)}) {
    to->resize(moment_rows);
    copy_to_host(stream, to->data(), from->data(), from->bytes());
  }
  stream.synchronize();
  return scores;
}

template <Element T>
void Llama<T>::forward(const TokenBatch& batch, const DeviceBatch& device, int blocks, std::span<const BlockCache<T>> caches) {
  const Runtime& runtime = params_.runtime();
  const int n = batch.tokens(), layers = config_.num_hidden_layers;
  const auto prefetch_block_or_head = [&](int l) {
    if (l < blocks) params_.prefetch(l + 1);
    if (l == layers) params_.prefetch(head_unit());
  };
  {
    kernels_.rope_table(runtime.compute, workspace_->cos_sin(), device.positions.data(), n, config_.head_dim,
                        config_.rope_theta);
    const Lease<T> embedding = params_.gather(0);
    prefetch_block_or_head(0);
    const ParameterView& table = params_.layout(0).views().front();
    kernels_.embedding_forward(runtime.compute, workspace_->block(0).x, embedding.view(table), device.ids.data(), n,
                               config_.hidden_size);
  }
  const LlamaBlock<T> block(kernels_, runtime.compute, BlockShape(config_));
  BlockInput<T> input{n, batch.sequences(), device.offsets.data(), workspace_->cos_sin()};
  for (int l = 0; l < blocks; ++l) {
    if (!caches.empty()) input.cache = caches[static_cast<std::size_t>(l)];
    const Lease<T> lease = params_.gather(l + 1);
    prefetch_block_or_head(l + 1);
    block.forward(block_output(l), workspace_->block(l), {lease.data(), params_.layout(l + 1)}, input);
  }
}

template <Element T>
T* Llama<T>::block_output(int layer) const {
  return layer + 1 < config_.num_hidden_layers ? workspace_->block(layer + 1).x : workspace_->output();
}

/// Whole weights of the head during a lease.
template <Element T>
struct Llama<T>::Head {
  Lease<T> lease;
  const ParameterView& norm;
  const ParameterView& matrix;
};

/// Gathers the head and applies the final norm.
template <Element T>
auto Llama<T>::open_head(int tokens) -> Head {
  const UnitLayout& layout = params_.layout(head_unit());
  const std::size_t norm = config_.tie_word_embeddings ? 1 : 0;
  Head head{params_.gather(head_unit()), layout.views()[norm], layout.views()[1 - norm]};
  kernels_.rms_norm_forward(params_.runtime().compute, workspace_->norm(), workspace_->rstd(), workspace_->output(),
                            head.lease.view(head.norm), tokens, config_.hidden_size, config_.rms_norm_eps);
  return head;
}

/// Computes the logits of `rows` tokens from `begin` in the workspace.
template <Element T>
auto Llama<T>::logits(const Head& head, int begin, int rows) -> A* {
  const std::size_t first = static_cast<std::size_t>(begin) * static_cast<std::size_t>(config_.hidden_size);
  kernels_.logits_forward(params_.runtime().compute, workspace_->logits(), workspace_->norm() + first,
                          head.lease.view(head.matrix), rows, config_.hidden_size, config_.vocab_size);
  return workspace_->logits();
}

template <Element T>
auto Llama<T>::read_scores(int tokens) -> TokenScores<A> {
  const Workspace<T>& w = *workspace_;
  Stream& stream = params_.runtime().compute;
  const auto n = static_cast<std::size_t>(tokens);
  TokenScores<A> scores{std::vector<A>(n), std::vector<A>(n), std::vector<std::int32_t>(n)};
  copy_to_host(stream, scores.nll.data(), w.nll(), n * sizeof(A));
  copy_to_host(stream, scores.signal.data(), w.signal(), n * sizeof(A));
  copy_to_host(stream, scores.predictions.data(), w.predictions(), n * sizeof(std::int32_t));
  return scores;
}

template <Element T>
void Llama<T>::backward(const TokenBatch& batch, const DeviceBatch& device, int blocks,
                        std::optional<GradientLease<T>> embedding) {
  const Runtime& runtime = params_.runtime();
  const int n = batch.tokens();
  const LlamaBlock<T> block(kernels_, runtime.compute, BlockShape(config_));
  const BlockInput<T> input{n, batch.sequences(), device.offsets.data(), workspace_->cos_sin()};
  for (int l = blocks - 1; l >= 0; --l) {
    const Lease<T> lease = params_.gather(l + 1);
    if (l > 0) params_.prefetch(l);
    GradientLease<T> gradients = params_.gradients(l + 1);
    block.backward(workspace_->dx(), {gradients.data(), params_.layout(l + 1)}, workspace_->scratch(), workspace_->block(l),
                   {lease.data(), params_.layout(l + 1)}, input, recompute_);
    params_.reduce(l + 1, std::move(gradients));
  }
  GradientLease<T> gradients = embedding ? std::move(*embedding) : params_.gradients(0);
  const ParameterView& table = params_.layout(0).views().front();
  kernels_.embedding_backward(runtime.compute, gradients.view(table), workspace_->dx(), device.ids.data(), n,
                              config_.hidden_size);
  params_.reduce(0, std::move(gradients));
}

template <Element T>
std::vector<std::int32_t> Llama<T>::draw_labels(const TokenBatch& batch, std::span<const std::int32_t> excluded,
                                                std::span<const double> uniform, const LabelSampling& sampling) {
  check(excluded.size() == batch.ids.size() && uniform.size() == excluded.size(), "one exclusion and one number a token");
  Workspace<T>& w = *workspace_;
  const Runtime& runtime = params_.runtime();
  w.reserve(batch.tokens(), false);
  const DeviceBatch device(batch, w.batch_room(), runtime);
  const Buffer<std::int32_t> without = DeviceBatch::upload(excluded, runtime);
  const Buffer<double> numbers = DeviceBatch::upload(uniform, runtime);
  forward(batch, device, config_.num_hidden_layers);
  const Head head = open_head(batch.tokens());
  for (int begin = 0; begin < batch.tokens(); begin += w.chunk()) {
    const int rows = std::min(w.chunk(), batch.tokens() - begin);
    kernels_.sample_labels(runtime.compute, w.predictions() + begin, logits(head, begin, rows), without.data() + begin,
                           numbers.data() + begin, rows, config_.vocab_size, sampling);
  }
  const TokenScores<A> scores = read_scores(batch.tokens());
  runtime.compute.synchronize();
  return scores.predictions;
}

}  // namespace expunge
