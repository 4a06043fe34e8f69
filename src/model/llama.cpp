// The model for the element types of the program, its units and its memory.
#include "expunge/model/llama.h"

#include <fmt/format.h>

#include "llama_loss.h"

namespace expunge {

std::vector<UnitLayout> llama_units(const LlamaConfig& config, int world_size) {
  const std::int64_t dim = config.hidden_size, mlp = config.intermediate_size, vocabulary = config.vocab_size;
  const std::int64_t query = config.num_attention_heads * std::int64_t{config.head_dim};
  const std::int64_t key = config.num_key_value_heads * std::int64_t{config.head_dim};
  const UnitLayout::Parameter norm{"model.norm.weight", {dim}};

  std::vector<UnitLayout> units;
  UnitLayout& embedding = units.emplace_back("embedding", world_size);
  embedding.add({{"model.embed_tokens.weight", {vocabulary, dim}}});
  if (config.tie_word_embeddings) embedding.add({norm});
  for (int l = 0; l < config.num_hidden_layers; ++l) {
    const std::string prefix = fmt::format("model.layers.{}.", l);
    UnitLayout& block = units.emplace_back(fmt::format("block{}", l), world_size);
    const auto matrix = [&](const char* name, std::int64_t rows, std::int64_t columns) {
      return UnitLayout::Parameter{prefix + name + ".weight", {rows, columns}};
    };
    // In the order of BlockParameter.
    block.add({{prefix + "input_layernorm.weight", {dim}}});
    block.add(
        {matrix("self_attn.q_proj", query, dim), matrix("self_attn.k_proj", key, dim), matrix("self_attn.v_proj", key, dim)});
    block.add({matrix("self_attn.o_proj", dim, query)});
    block.add({{prefix + "post_attention_layernorm.weight", {dim}}});
    block.add({matrix("mlp.gate_proj", mlp, dim), matrix("mlp.up_proj", mlp, dim)});
    block.add({matrix("mlp.down_proj", dim, mlp)});
  }
  if (!config.tie_word_embeddings) {
    UnitLayout& head = units.emplace_back("head", world_size);
    head.add({norm});
    head.add({{"lm_head.weight", {vocabulary, dim}}});
  }
  return units;
}

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
