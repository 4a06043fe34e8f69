// Divides a model's weights into units for sharding.
#include <fmt/format.h>

#include "model/llama.h"

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

}  // namespace expunge
