// Training passes: signals of the model's output, computed in chunks of tokens, and their gradients. Included where an
// element type is instantiated.
#pragma once

#include "model/llama_impl.h"

namespace expunge {

template <Element T>
auto Llama<T>::forward_backward(const TokenBatch& batch, const LossSpec<T>& spec) -> TokenScores<A> {
  check(spec.weigh || spec.weights.size() == batch.ids.size(), "one weight a token");
  workspace_->reserve(batch.tokens(), true);
  const DeviceBatch device(batch, workspace_->batch_room(), params_.runtime());
  if (spec.reference) spec.reference->forward_reference(batch, spec.rows, config_.num_hidden_layers);
  forward(batch, device, config_.num_hidden_layers);
  GradientLease<T> gradients = params_.gradients(head_unit());
  const TokenScores<A> scores = train_head(batch, device, spec, gradients);
  if (config_.tie_word_embeddings) {
    backward(batch, device, config_.num_hidden_layers, std::move(gradients));
  } else {
    params_.reduce(head_unit(), std::move(gradients));
    backward(batch, device, config_.num_hidden_layers, std::nullopt);
  }
  params_.runtime().compute.synchronize();
  return scores;
}

template <Element T>
auto Llama<T>::forward_backward(const TokenBatch& batch, const LayerLossSpec<T>& spec) -> TokenScores<A> {
  check(spec.layer < config_.num_hidden_layers && spec.weights.size() == batch.ids.size(),
        "a layer of the model, one weight a token");
  Workspace<T>& w = *workspace_;
  Stream& stream = params_.runtime().compute;
  w.reserve(batch.tokens(), true);
  const DeviceBatch device(batch, w.batch_room(), params_.runtime());
  const int blocks = spec.layer + 1, dim = config_.hidden_size;
  if (spec.reference) spec.reference->forward_reference(batch, spec.rows, blocks);
  forward(batch, device, blocks);
  const Buffer<T> control = DeviceBatch::upload(std::vector<T>(spec.control.begin(), spec.control.end()), params_.runtime());
  upload_weights(spec.weights);
  for (const SignalRows& rows : spec.rows) {
    const std::size_t first = static_cast<std::size_t>(rows.begin) * static_cast<std::size_t>(dim);
    const bool one_target = rows.signal.target == Signal::Target::control;
    const T* const target = one_target ? control.data() : spec.reference->block_output(spec.layer) + first;
    const T* const h = block_output(spec.layer) + first;
    kernels_.distance_forward(stream, w.signal() + rows.begin, h, target, one_target, rows.end - rows.begin, dim);
    kernels_.distance_backward(stream, w.dx() + first, h, target, one_target, w.weights() + rows.begin, rows.end - rows.begin,
                               dim);
  }
  TokenScores<A> scores{{}, std::vector<A>(batch.ids.size()), {}};
  copy_to_host(stream, scores.signal.data(), w.signal(), scores.signal.size() * sizeof(A));
  backward(batch, device, blocks, std::nullopt);
  stream.synchronize();
  return scores;
}

/// Number of tokens at the front of a batch whose signals use the reference model.
inline int reference_tokens(std::span<const SignalRows> rows) {
  int tokens = 0;
  for (const SignalRows& row : rows)
    if (row.signal.uses_reference()) tokens = row.end;
  return tokens;
}

template <Element T>
void Llama<T>::forward_reference(const TokenBatch& batch, std::span<const SignalRows> rows, int blocks) {
  const TokenBatch front = batch.front(reference_tokens(rows));
  workspace_->reserve(front.tokens(), false);
  forward(front, DeviceBatch(front, workspace_->batch_room(), params_.runtime()), blocks);
}

template <Element T>
void Llama<T>::upload_weights(const std::vector<double>& weights) {
  const std::vector<A> rounded(weights.begin(), weights.end());
  copy_to_device(params_.runtime().compute, workspace_->weights(), rounded.data(), rounded.size() * sizeof(A));
}

inline bool has_soft_target(const Signal& signal) {
  return signal.kind == Signal::Kind::cross_entropy || signal.kind == Signal::Kind::divergence;
}

inline SoftTarget soft_target(const Signal& signal) {
  return {signal.label_shift, signal.epsilon, signal.kind == Signal::Kind::divergence};
}

/// Computes the signal and the nll of `rows`, at most a chunk of tokens, from logits in the workspace.
template <Element T>
void Llama<T>::score_rows(const Head& head, const SignalRows& rows, const DeviceBatch& device, const A* target) {
  const Workspace<T>& w = *workspace_;
  Stream& stream = params_.runtime().compute;
  const int begin = rows.begin, n = rows.end - rows.begin, vocabulary = config_.vocab_size;
  const std::int32_t* const labels = device.labels.data() + begin;
  const A* const own = logits(head, begin, n);
  kernels_.nll_forward(stream, w.nll() + begin, w.lse() + begin, w.predictions() + begin, own, labels, n, vocabulary);
  if (has_soft_target(rows.signal))
    kernels_.soft_target_forward(stream, w.signal() + begin, w.target_lse() + begin, own, w.lse() + begin,
                                 target ? target : own, labels, n, vocabulary, soft_target(rows.signal));
  else
    copy_bytes(stream, w.signal() + begin, w.nll() + begin, static_cast<std::size_t>(n) * sizeof(A));
}

/// Adds the head's gradient for `rows` and computes their dnorm, from logits and weights in the workspace.
template <Element T>
void Llama<T>::differentiate_rows(const Head& head, const SignalRows& rows, const DeviceBatch& device, const A* target,
                                  GradientLease<T>& gradients) {
  const Workspace<T>& w = *workspace_;
  Stream& stream = params_.runtime().compute;
  const int begin = rows.begin, n = rows.end - rows.begin, dim = config_.hidden_size, vocabulary = config_.vocab_size;
  const std::int32_t* const labels = device.labels.data() + begin;
  const std::size_t first = static_cast<std::size_t>(begin) * static_cast<std::size_t>(dim);
  if (has_soft_target(rows.signal))
    kernels_.soft_target_backward(stream, w.dlogits(), w.logits(), w.lse() + begin, target ? target : w.logits(),
                                  w.target_lse() + begin, labels, w.weights() + begin, n, vocabulary, soft_target(rows.signal));
  else
    kernels_.nll_backward(stream, w.dlogits(), w.logits(), w.lse() + begin, labels, w.weights() + begin, n, vocabulary);
  kernels_.linear_backward(stream, w.scratch().dnorm + first, gradients.view(head.matrix), w.dlogits(), w.norm() + first,
                           head.lease.view(head.matrix), n, dim, vocabulary, Write::set);
}

/// Final norm, signals and their gradient down to the last block's output, in workspace dx. Both heads stay leased during the
/// loop over chunks of tokens. The scores are valid after the compute stream has been synchronised.
template <Element T>
auto Llama<T>::train_head(const TokenBatch& batch, const DeviceBatch& device, const LossSpec<T>& spec,
                          GradientLease<T>& gradients) -> TokenScores<A> {
  const Workspace<T>& w = *workspace_;
  const Head head = open_head(batch.tokens());
  std::optional<Head> reference;
  if (spec.reference) reference.emplace(spec.reference->open_head(reference_tokens(spec.rows)));
  params_.prefetch(config_.num_hidden_layers);
  const auto target = [&](const SignalRows& rows) {
    return rows.signal.uses_reference() ? spec.reference->logits(*reference, rows.begin, rows.end - rows.begin) : nullptr;
  };
  const auto for_each_chunk = [&](const auto& work) {
    for (SignalRows rows : spec.rows) {
      const int end = rows.end;
      for (; rows.begin < end; rows.begin = rows.end) {
        rows.end = std::min(rows.begin + w.chunk(), end);
        work(rows, target(rows));
      }
    }
  };

  if (spec.weigh) {
    for_each_chunk([&](const SignalRows& rows, const A* q) { score_rows(head, rows, device, q); });
    const TokenScores<A> scores = read_scores(batch.tokens());
    params_.runtime().compute.synchronize();
    upload_weights(spec.weigh(scores));
  } else {
    upload_weights(spec.weights);
  }
  for_each_chunk([&](const SignalRows& rows, const A* q) {
    score_rows(head, rows, device, q);
    differentiate_rows(head, rows, device, q, gradients);
  });
  kernels_.rms_norm_backward(params_.runtime().compute, w.dx(), gradients.view(head.norm), w.scratch().dnorm, w.output(),
                             head.lease.view(head.norm), w.rstd(), batch.tokens(), config_.hidden_size, Write::set);
  return read_scores(batch.tokens());
}

}  // namespace expunge
