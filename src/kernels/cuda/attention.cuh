// Causal grouped-query attention over packed sequences: tensor cores for bf16 if the head size allows it, else plain
// kernels.
#pragma once

#include "kernels/cuda/attention_plain.cuh"
#include "kernels/cuda/attention_tensor.cuh"

namespace expunge::cuda {

namespace attention {

/// Tensor-core kernels move 16 bytes at a time.
template <typename... Pointers>
bool tensor_cores_fit(const AttentionShape& shape, const Pointers*... pointers) {
  return shape.head_size % kChunk == 0 && shape.head_size <= 128 && aligned(pointers...);
}

template <int kHead>
void forward_on_tensor_cores(Stream& stream, const TensorForward& p) {
  const dim3 grid(most_tiles(p.tokens, p.sequences, kQueryRows) * unsigned(p.heads.shape.heads));
  launch(stream, tensor_forward<kHead>, grid, kThreads, kForwardShared<kHead>, p);
}

/// Sizes of attention_backward's own memory: delta, rounded up to whole vectors, and the partial sums of a group's splits if
/// there are several.
struct BackwardScratch {
  template <Element T>
  static BackwardScratch of(const AttentionShape& shape, int tokens) {
    BackwardScratch sizes{(Index(shape.heads) * Index(tokens) + kChunk - 1) / kChunk * kChunk, 0};
    const int splits = std::is_same_v<T, bf16> ? choose_splits(shape, tokens) : 1;
    if (splits > 1) sizes.partial = Index(splits) * Index(tokens) * Index(2 * shape.kv_heads * shape.head_size);
    return sizes;
  }
  Index total() const { return delta + partial; }
  Index delta, partial;
};

template <int kHead>
void backward_on_tensor_cores(Stream& stream, const TensorBackward& p) {
  const AttentionShape& shape = p.heads.shape;
  const auto tiles = [&](int rows) { return most_tiles(p.in.tokens, p.in.sequences, rows); };
  const int columns = 2 * shape.kv_heads * shape.head_size;
  launch(stream, tensor_dquery<kHead>, dim3(tiles(kQueryRows) * unsigned(shape.heads)), kThreads, kDQueryShared<kHead>, p);
  launch(stream, tensor_dkey_dvalue<kHead>, dim3(tiles(kKeyRows) * unsigned(shape.kv_heads * p.splits)), kThreads,
         kDKeyShared<kHead>, p);
  if (p.splits > 1) for_each_cell<kChunk>(stream, p.in.tokens, columns, true, JoinSplits{p});
}

}  // namespace attention

template <Element T>
void attention_forward(Stream& stream, T* out, acc_t<T>* lse, const T* qkv, const std::int32_t* offsets, int sequences,
                       int tokens, AttentionShape shape) {
  using namespace attention;
  check(shape.head_size <= kLargestHead, "head sizes are at most 256");
  if constexpr (std::is_same_v<T, bf16>) {
    if (tensor_cores_fit(shape, out, qkv)) {
      const TensorForward p{out, lse, {qkv, shape}, offsets, sequences, tokens};
      return shape.head_size <= 64 ? forward_on_tensor_cores<64>(stream, p) : forward_on_tensor_cores<128>(stream, p);
    }
  }
  const auto kernel = whole_vectors<T>(shape, qkv) ? plain_forward<T, kWide<T>> : plain_forward<T, 1>;
  launch(stream, kernel, dim3(unsigned(divide_up(tokens, kWarps)), unsigned(shape.heads)), kThreads, 0, out, lse,
         Heads<const T>{qkv, shape}, offsets, sequences, tokens);
}

template <Element T>
void attention_backward(Stream& stream, T* dqkv, const T* dout, const T* qkv, const T* out, const acc_t<T>* lse,
                        const std::int32_t* offsets, int sequences, int tokens, AttentionShape shape) {
  using namespace attention;
  if (tokens == 0) return;
  const BackwardScratch sizes = BackwardScratch::of<T>(shape, tokens);
  acc_t<T>* const delta = scratch<acc_t<T>>(stream, sizes.total());
  const auto grid = [&](int heads) { return dim3(unsigned(divide_up(tokens, kWarps)), unsigned(heads)); };
  constexpr int kN = 4;
  const bool vectors = shape.head_size % kN == 0 && aligned(dout, out);
  launch(stream, vectors ? output_products<T, kN> : output_products<T, 1>, grid(shape.heads), kThreads, 0, delta, dout, out,
         shape.heads, shape.head_size, tokens);
  const Heads<T> dheads{dqkv, shape};
  const Heads<const T> heads{qkv, shape};
  const BackwardInput<T> in{dout, lse, delta, offsets, sequences, tokens};
  if constexpr (std::is_same_v<T, bf16>) {
    if (tensor_cores_fit(shape, dqkv, dout, qkv)) {
      const TensorBackward p{dheads, heads, in, delta + sizes.delta, choose_splits(shape, tokens)};
      return shape.head_size <= 64 ? backward_on_tensor_cores<64>(stream, p) : backward_on_tensor_cores<128>(stream, p);
    }
  }
  const bool whole = whole_vectors<T>(shape, qkv, dout);
  launch(stream, whole ? plain_dquery<T, kWide<T>> : plain_dquery<T, 1>, grid(shape.heads), kThreads, 0, dheads, heads, in);
  launch(stream, whole ? plain_dkey_dvalue<T, kWide<T>> : plain_dkey_dvalue<T, 1>, grid(shape.kv_heads), kThreads, 0, dheads,
         heads, in);
}

/// Elements that attention_backward needs for at most `tokens` tokens. Takes the maximum, because fewer tokens may have more
/// splits.
template <Element T>
Index attention_scratch(const AttentionShape& shape, int tokens) {
  Index most = 0;
  for (int n = tokens; n > 0; n = (n - 1) / attention::kKeyRows * attention::kKeyRows)
    most = std::max(most, attention::BackwardScratch::of<T>(shape, n).total());
  return most;
}

}  // namespace expunge::cuda
