// The architecture of a model, from a Hugging Face config.json.
#pragma once

#include <algorithm>
#include <cstdint>
#include <filesystem>

#include "expunge/dtype.h"
#include "io/model_folder.h"

namespace expunge {

/// Sizes and constants of a Llama, named as config.json names them.
struct LlamaConfig {
  int hidden_size = 0, intermediate_size = 0, num_hidden_layers = 0, num_attention_heads = 0, num_key_value_heads = 0;
  int head_dim = 0, vocab_size = 0, max_position_embeddings = 0;
  int sliding_window = 0;  ///< a token sees so many, itself included; 0: all. Sequences up to it are computed as without one
  double rms_norm_eps = 1e-6, rope_theta = 10000, initializer_range = 0.02;
  bool tie_word_embeddings = false;
  DType torch_dtype = DType::float32;  ///< what the folder's weights are meant to be stored as

  std::int64_t parameter_count() const;
  /// Tokens of the longest sequence that can be computed.
  int longest_sequence() const {
    return sliding_window > 0 ? std::min(sliding_window, max_position_embeddings) : max_position_embeddings;
  }
};

/// A config.json of more bytes is refused.
constexpr std::uint64_t kModelConfigLimit = std::uint64_t{1} << 20;

/// Reads and checks a config.json of transformers 4 or 5; absent keys have transformers' defaults, but sizes must be there.
/// Architectures: Llama, Yi, and Mistral, with sequences no longer than its sliding window. What is not supported is refused by
/// name. Throws Error(bad_input).
LlamaConfig read_llama_config(const std::filesystem::path& config_json);

/// Opens a folder's weights and compares its tensors with what config.json implies. Throws Error(bad_input) that names the
/// first tensor that is missing, of another shape or type, or unexpected. Ignored, as by transformers: rotary_emb.inv_freq, and
/// in a tied model an lm_head.weight equal to the embeddings.
ModelFolder open_model(const LlamaConfig& config, const std::filesystem::path& folder);

}  // namespace expunge
