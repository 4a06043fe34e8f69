// The model for the element types of the program, and its memory.
#include "expunge/model/llama.h"

#include "llama_loss.h"

namespace expunge {

std::size_t activation_bytes(const LlamaConfig& config, std::size_t tokens, Recompute recompute, std::size_t element_bytes) {
  const auto wide = [](int n) { return static_cast<std::size_t>(n); };
  const std::size_t dim = wide(config.hidden_size), mlp = wide(config.intermediate_size),
                    heads = wide(config.num_attention_heads);
  const std::size_t attention = heads * wide(config.head_dim);
  const std::size_t qkv = attention + 2 * wide(config.num_key_value_heads) * wide(config.head_dim);
  const std::size_t recomputed = 2 * dim + mlp;                     // norms and product
  const std::size_t rest = qkv + attention + dim + 2 * mlp;         // what the block policy recomputes as well
  const std::size_t scratch = 4 * dim + qkv + attention + 3 * mlp;  // output, final norm, dx, dnorm; block scratch
  const std::size_t layers = wide(config.num_hidden_layers);
  const std::size_t kept = recompute == Recompute::none    ? layers * (dim + rest + recomputed)
                           : recompute == Recompute::light ? layers * (dim + rest) + recomputed
                                                           : layers * dim + rest + recomputed;
  return tokens * (kept + scratch) * element_bytes;
}

template class Llama<float>;
template class Llama<bf16>;
template class Llama<double>;

}  // namespace expunge
