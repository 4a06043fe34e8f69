// Reading config.json, and what it implies for the weights.
#include "expunge/model/llama_config.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <set>
#include <string>
#include <vector>

#include "expunge/core/error.h"
#include "expunge/io/json.h"
#include "expunge/model/llama.h"

namespace expunge {
namespace {

constexpr std::uint64_t kConfigLimit = std::uint64_t{1} << 20;
constexpr std::int64_t kLargestSize = std::int64_t{1} << 24;  // of any one dimension
constexpr std::int64_t kMostLayers = 4096;

[[noreturn]] void refuse(const JsonObject& json, const std::string& key, const std::string& only) {
  fail(ExitCode::bad_input, fmt::format("{}: key '{}' is {}: not supported; {}", json.where(), key,
                                        json_excerpt(json.value().at(key)), only));
}

/// Features that change the computation and that expunge does not have.
void refuse_other_models(const JsonObject& json) {
  static const std::set<std::string> kTypes = {"llama", "mistral", "yi", "Yi"};
  if (!kTypes.contains(json.string_or("model_type", "llama")))
    refuse(json, "model_type", "expunge reads llama, mistral and yi");
  if (json.string_or("hidden_act", "silu") != "silu") refuse(json, "hidden_act", "only silu");
  for (const char* key : {"attention_bias", "mlp_bias"})
    if (json.boolean_or(key, false)) refuse(json, key, "only models without biases");
  for (const char* key : {"quantization_config", "num_local_experts"})
    if (json.has(key)) refuse(json, key, "only dense, unquantised models");
  if (json.number_or("partial_rotary_factor", 1) != 1) refuse(json, "partial_rotary_factor", "only 1");
  if (json.has("sliding_window") && json.boolean_or("use_sliding_window", true) &&
      json.integer("sliding_window", 0) < json.integer_or("max_position_embeddings", 2048, 1))
    refuse(json, "sliding_window", "only null or at least max_position_embeddings");
}

/// rope_theta and rope_scaling of transformers 4, or rope_parameters of transformers 5.
double read_rope_theta(const JsonObject& json) {
  for (const char* key : {"rope_scaling", "rope_parameters"}) {
    if (!json.has(key)) continue;
    const JsonObject rope(json.at(key), fmt::format("{}: {}", json.where(), key));
    const std::string type = rope.string_or("rope_type", rope.string_or("type", "default"));
    if (type != "default") refuse(json, key, "only unscaled rotary embeddings (null or rope_type default)");
    if (rope.has("rope_theta")) return rope.number("rope_theta");
  }
  return json.number_or("rope_theta", 10000);
}

DType read_stored_dtype(const JsonObject& json) {
  const std::string name = json.string_or("dtype", json.string_or("torch_dtype", "float32"));
  for (const DType dtype : {DType::float32, DType::bfloat16, DType::float16, DType::float64})
    if (name == dtype_name(dtype)) return dtype;
  json.wrong(json.has("dtype") ? "dtype" : "torch_dtype", "float32, float16, bfloat16 or float64");
}

int size(const JsonObject& json, const std::string& key) { return static_cast<int>(json.integer(key, 1, kLargestSize)); }

void check_sizes(const JsonObject& json, const LlamaConfig& config) {
  if (config.num_attention_heads % config.num_key_value_heads != 0)
    json.wrong("num_key_value_heads", fmt::format("a divisor of num_attention_heads ({})", config.num_attention_heads));
  if (config.head_dim % 2 != 0)
    fail(ExitCode::bad_input, fmt::format("{}: head_dim is {}: rotary embeddings need an even one", json.where(), config.head_dim));
  if (!(config.rms_norm_eps > 0)) json.wrong("rms_norm_eps", "a positive number");
  if (!(config.rope_theta > 0)) json.wrong("rope_theta", "a positive number");
}

std::string shape_text(const std::vector<std::int64_t>& shape) { return fmt::format("{}", fmt::join(shape, " x ")); }

}  // namespace

std::int64_t LlamaConfig::parameter_count() const {
  std::size_t count = 0;
  for (const UnitLayout& unit : llama_units(*this, 1))
    for (const ParameterView& view : unit.views()) count += view.size;
  return static_cast<std::int64_t>(count);
}

LlamaConfig read_llama_config(const std::filesystem::path& config_json) {
  const JsonObject json(parse_json_file(config_json, kConfigLimit), config_json.string());
  refuse_other_models(json);
  LlamaConfig config;
  config.hidden_size = size(json, "hidden_size");
  config.intermediate_size = size(json, "intermediate_size");
  config.num_hidden_layers = static_cast<int>(json.integer("num_hidden_layers", 1, kMostLayers));
  config.num_attention_heads = size(json, "num_attention_heads");
  config.num_key_value_heads =
      static_cast<int>(json.integer_or("num_key_value_heads", config.num_attention_heads, 1, kLargestSize));
  if (!json.has("head_dim") && config.hidden_size % config.num_attention_heads != 0)
    json.wrong("hidden_size", fmt::format("a multiple of num_attention_heads ({})", config.num_attention_heads));
  config.head_dim = static_cast<int>(json.integer_or(
      "head_dim", std::max(1, config.hidden_size / config.num_attention_heads), 1, kLargestSize / config.num_attention_heads));
  config.vocab_size = size(json, "vocab_size");
  config.max_position_embeddings = static_cast<int>(json.integer_or("max_position_embeddings", 2048, 1, kLargestSize));
  config.rms_norm_eps = json.number_or("rms_norm_eps", 1e-6);
  config.rope_theta = read_rope_theta(json);
  config.initializer_range = json.number_or("initializer_range", 0.02);
  config.tie_word_embeddings = json.boolean_or("tie_word_embeddings", false);
  config.torch_dtype = read_stored_dtype(json);
  check_sizes(json, config);
  return config;
}

void check_tensors(const LlamaConfig& config, const ModelFolder& folder) {
  std::set<std::string> expected;
  const std::string where = folder.path().string();
  for (const UnitLayout& unit : llama_units(config, 1)) {
    for (const ParameterView& view : unit.views()) {
      expected.insert(view.name);
      if (!folder.has(view.name))
        fail(ExitCode::bad_input,
             fmt::format("{}: tensor {} is missing; config.json implies it, {}", where, view.name, shape_text(view.shape)));
      const std::vector<std::int64_t>& found = folder.info(view.name).shape;
      if (found != view.shape)
        fail(ExitCode::bad_input, fmt::format("{}: tensor {}: config.json says {}, the file has {}", where, view.name,
                                              shape_text(view.shape), shape_text(found)));
    }
  }
  for (const std::string& name : folder.names()) {
    const bool ignored = name.ends_with("rotary_emb.inv_freq") || (config.tie_word_embeddings && name == "lm_head.weight");
    if (!ignored && !expected.contains(name))
      fail(ExitCode::bad_input, fmt::format("{}: tensor {} does not belong to the model that config.json describes", where, name));
  }
}

}  // namespace expunge
