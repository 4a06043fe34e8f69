// The architecture of a model, from a Hugging Face config.json.
#pragma once

#include <algorithm>
#include <cstdint>
#include <filesystem>

#include "expunge/dtype.h"
#include "io/model_folder.h"

namespace expunge {

/// Sizes and constants of a Llama, named as in config.json.
struct LlamaConfig {
  int hidden_size = 0, intermediate_size = 0, num_hidden_layers = 0, num_attention_heads = 0, num_key_value_heads = 0;
  int head_dim = 0, vocab_size = 0, max_position_embeddings = 0;
  int sliding_window = 0;  ///< tokens that a token sees, itself included; 0: all. Shorter sequences are unaffected
  double rms_norm_eps = 1e-6, rope_theta = 10000, initializer_range = 0.02;
  bool tie_word_embeddings = false;
  DType torch_dtype = DType::float32;  ///< intended storage type of the folder's weights

  std::int64_t parameter_count() const;
  /// Tokens of the longest supported sequence.
  int longest_sequence() const {
    return sliding_window > 0 ? std::min(sliding_window, max_position_embeddings) : max_position_embeddings;
  }
};

/// Size limit of a config.json in bytes.
constexpr std::uint64_t kModelConfigLimit = std::uint64_t{1} << 20;

/// Reads and checks a config.json of transformers 4 or 5. Absent keys get transformers' defaults, but sizes are required.
/// Architectures: Llama, Yi, and Mistral with sequences no longer than its sliding window. Throws Error(bad_input) naming the
/// key of an unsupported feature.
LlamaConfig read_llama_config(const std::filesystem::path& config_json);

/// Opens a folder's weights and checks its tensors against config.json. Throws Error(bad_input) naming the first tensor that
/// is missing, unexpected or of another shape or type. Like transformers, ignores rotary_emb.inv_freq and, in a tied model,
/// an lm_head.weight equal to the embeddings.
ModelFolder open_model(const LlamaConfig& config, const std::filesystem::path& folder);

}  // namespace expunge
