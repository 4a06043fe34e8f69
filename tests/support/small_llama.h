// For tests: the configuration of a Llama of awkward sizes.
#pragma once

#include "model/llama_config.h"

namespace expunge {

/// Odd widths, grouped queries, a head size that is no power of two.
inline LlamaConfig small_llama(int vocabulary, bool tied) {
  LlamaConfig config;
  config.hidden_size = 20;
  config.intermediate_size = 27;
  config.num_hidden_layers = 2;
  config.num_attention_heads = 4;
  config.num_key_value_heads = 2;
  config.head_dim = 6;
  config.vocab_size = vocabulary;
  config.rms_norm_eps = 1e-5;
  config.rope_theta = 1000;
  config.tie_word_embeddings = tied;
  config.initializer_range = 0.2;
  return config;
}

}  // namespace expunge
