// Causal grouped-query attention over packed sequences, blocked over queries and keys (Dao et al. 2022), memory linear in T.
#pragma once

#include "kernels/cpu/attention_pairs.h"
#include "kernels/cpu/attention_wide.h"

namespace expunge::cpu::EXPUNGE_CPU_LEVEL {

/// bf16 uses pair products if the processor has them.
template <Element T>
void attention_forward(Stream&, T* out, acc_t<T>* lse, const T* qkv, const std::int32_t* offsets, int sequences, int tokens,
                       AttentionShape shape) {
  using namespace attention;
  if constexpr (std::same_as<T, bf16>)
    if (has_pair_products())
      return forward_by(PairBlocks({qkv, shape}, offsets, sequences, Pass::forward), out, lse, offsets, sequences, tokens,
                        shape);
  forward_by(WideBlocks<T>({qkv, shape}), out, lse, offsets, sequences, tokens, shape);
}

template <Element T>
void attention_backward(Stream&, T* dqkv, const T* dout, const T* qkv, const T* out, const acc_t<T>* lse,
                        const std::int32_t* offsets, int sequences, int tokens, AttentionShape shape) {
  using namespace attention;
  if constexpr (std::same_as<T, bf16>)
    if (has_pair_products())
      return backward_by(PairBlocks({qkv, shape}, offsets, sequences, Pass::backward), dqkv, dout, out, lse, offsets, sequences,
                         tokens, shape);
  backward_by(WideBlocks<T>({qkv, shape}), dqkv, dout, out, lse, offsets, sequences, tokens, shape);
}

}  // namespace expunge::cpu::EXPUNGE_CPU_LEVEL
