// Memory of a pass: activations of every block under a recompute policy, and scratch. Allocated for the largest batch.
#pragma once

#include <fmt/format.h>

#include <cstddef>
#include <new>
#include <utility>
#include <vector>

#include "core/log.h"
#include "expunge/error.h"
#include "model/llama_block.h"

namespace expunge {

template <Element T>
class Workspace {
 public:
  using A = acc_t<T>;
  Workspace(const LlamaConfig& config, Device device, Recompute recompute)
      : config_(config), shape_(config), device_(device), recompute_(recompute) {}

  /// Makes room for `tokens` tokens; `keep` keeps activations for the backward pass. Only grows. Throws Error(usage) if there
  /// is not enough memory.
  void reserve(int tokens, bool keep) {
    if (!blocks_.empty() && tokens <= tokens_ && (kept_ || !keep)) return;
    tokens_ = std::max({tokens, tokens_, 1});  // a rank with an empty first batch makes the same calls
    kept_ = kept_ || keep;
    owned_.clear();
    owned_sums_.clear();
    owned_ids_.clear();
    bytes_ = {};
    try {
      place();
    } catch (const std::bad_alloc&) {
      const WorkspaceBytes needed = measure(config_, device_.type, recompute_, tokens_, kept_);
      fail(ExitCode::usage,
           fmt::format("a micro-batch of {} tokens needs {} of memory, which is not available: lower the option "
                       "--per-device-train-batch-size, --per-device-eval-batch-size or --micro-batch-tokens",
                       tokens_, format_bytes(static_cast<double>(needed.activations + needed.logits))));
    }
  }

  /// The memory that reserve() would allocate.
  static WorkspaceBytes measure(const LlamaConfig& config, DeviceType device, Recompute recompute, int tokens, bool keep) {
    Workspace workspace(config, {device}, recompute);
    workspace.allocates_ = false;
    workspace.reserve(tokens, keep);
    return workspace.bytes_;
  }

  /// Activations of a block. Without `keep` in reserve(), all blocks share everything except the two alternating inputs.
  const BlockActivations<T>& block(int index) const { return blocks_[static_cast<std::size_t>(index)]; }
  const BlockScratch<T>& scratch() const { return scratch_; }
  T* output() const { return output_; }                       // (T, D) of the last block
  T* norm() const { return norm_; }                           // (T, D) final norm
  T* dx() const { return dx_; }                               // (T, D) gradient passed down the blocks
  A* rstd() const { return rstd_; }                           // (T) of the final norm
  A* cos_sin() const { return cos_sin_; }                     // (T, E)
  A* logits() const { return logits_; }                       // (chunk, V)
  T* dlogits() const { return dlogits_; }                     // (chunk, V); the same as logits() if the types agree
  A* nll() const { return nll_; }                             // (T)
  A* signal() const { return signal_; }                       // (T)
  A* lse() const { return lse_; }                             // (T)
  A* target_lse() const { return target_lse_; }               // (T)
  A* weights() const { return weights_; }                     // (T)
  std::int32_t* predictions() const { return predictions_; }  // (T)
  int tokens() const { return tokens_; }                      // of the largest batch
  std::size_t batch_room() const { return rows() + 1; }       // elements of a batch's longest array, the offsets
  int chunk() const { return logits_chunk(tokens_, config_.vocab_size, device_.type); }
  WorkspaceBytes bytes() const { return bytes_; }

 private:
  T* take(int width) { return take_elements<T>(owned_, rows() * static_cast<std::size_t>(width)); }
  A* take_sums(int width) { return take_elements<A>(owned_sums_, rows() * static_cast<std::size_t>(width)); }
  std::size_t rows() const { return static_cast<std::size_t>(tokens_); }
  template <typename E>
  E* take_elements(std::vector<Buffer<E>>& owned, std::size_t n) {
    bytes_.activations += n * sizeof(E);
    return allocates_ ? owned.emplace_back(device_, n).data() : nullptr;
  }

  void place() {
    const int layers = config_.num_hidden_layers;
    const Recompute policy = kept_ ? recompute_ : Recompute::block;
    const BlockActivations<T> shared = policy == Recompute::none ? BlockActivations<T>{} : take_block(policy, nullptr);
    T* const alternating[2] = {kept_ ? nullptr : take(shape_.dim), kept_ ? nullptr : take(shape_.dim)};
    blocks_.clear();
    for (int l = 0; l < layers; ++l) {
      blocks_.push_back(policy == Recompute::block ? shared : take_block(policy, &shared));
      blocks_.back().x = kept_ ? take(shape_.dim) : alternating[l % 2];
    }
    output_ = kept_ ? take(shape_.dim) : alternating[layers % 2];
    norm_ = take(shape_.dim);
    rstd_ = take_sums(1);
    cos_sin_ = take_sums(shape_.attention.head_size);
    nll_ = take_sums(1);
    signal_ = take_sums(1);
    lse_ = take_sums(1);
    target_lse_ = take_sums(1);
    predictions_ = take_elements<std::int32_t>(owned_ids_, rows());
    weights_ = take_sums(1);
    const std::size_t logits = static_cast<std::size_t>(chunk()) * static_cast<std::size_t>(config_.vocab_size);
    const std::size_t before = bytes_.activations;
    logits_ = take_elements<A>(owned_sums_, logits);
    if constexpr (std::is_same_v<T, A>)
      dlogits_ = logits_;
    else
      dlogits_ = kept_ ? take_elements<T>(owned_, logits) : nullptr;
    bytes_.logits = std::exchange(bytes_.activations, before) - before;
    if (!kept_) return;
    dx_ = take(shape_.dim);
    scratch_ = {take(shape_.dim), take(shape_.attention.qkv_width()), take(shape_.heads_width()), take(2 * shape_.mlp),
                take(shape_.mlp)};
  }

  /// Allocates a block's arrays except x. With `shared`: a kept block, which uses the shared arrays for what the light policy
  /// recomputes. Without: the shared arrays themselves, three for the light policy or all for the block policy.
  BlockActivations<T> take_block(Recompute policy, const BlockActivations<T>* shared) {
    BlockActivations<T> a{};
    const bool own_light = policy != Recompute::light || !shared;
    a.norm1 = own_light ? take(shape_.dim) : shared->norm1;
    a.norm2 = own_light ? take(shape_.dim) : shared->norm2;
    a.product = own_light ? take(shape_.mlp) : shared->product;
    if (policy == Recompute::light && !shared) return a;
    a.rstd1 = take_sums(1);
    a.qkv = take(shape_.attention.qkv_width());
    a.lse = take_sums(shape_.attention.heads);
    a.attention = take(shape_.heads_width());
    a.middle = take(shape_.dim);
    a.rstd2 = take_sums(1);
    a.gate_up = take(2 * shape_.mlp);
    return a;
  }

  LlamaConfig config_;
  BlockShape shape_;
  Device device_;
  Recompute recompute_;
  int tokens_ = 0;
  bool kept_ = false, allocates_ = true;
  WorkspaceBytes bytes_;
  std::vector<Buffer<T>> owned_;
  std::vector<Buffer<A>> owned_sums_;
  std::vector<Buffer<std::int32_t>> owned_ids_;
  std::vector<BlockActivations<T>> blocks_;
  BlockScratch<T> scratch_{};
  std::int32_t* predictions_ = nullptr;
  T *output_ = nullptr, *norm_ = nullptr, *dx_ = nullptr, *dlogits_ = nullptr;
  A *rstd_ = nullptr, *cos_sin_ = nullptr, *logits_ = nullptr, *nll_ = nullptr, *signal_ = nullptr, *lse_ = nullptr,
    *target_lse_ = nullptr, *weights_ = nullptr;
};

}  // namespace expunge
