// Reads config.json, and checks weights against it.
#include "model/llama_config.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "expunge/error.h"
#include "io/json.h"
#include "model/llama.h"

namespace expunge {
namespace {

// These limits keep all products of sizes, and sums over layers, within 63 bits.
constexpr std::int64_t kLargestSize = std::int64_t{1} << 20;  // of hidden vectors, all heads together, feed-forward
constexpr std::int64_t kLargestVocabulary = std::int64_t{1} << 24, kMostPositions = std::int64_t{1} << 30;
constexpr std::int64_t kMostLayers = 4096;

[[noreturn]] void refuse(const JsonObject& json, const std::string& key, const std::string& only) {
  fail(ExitCode::bad_input,
       fmt::format("{}: key '{}' is {}: not supported; {}", json.where(), key, json_excerpt(json.value().at(key)), only));
}

/// The model's family, by model_type or else by architectures: "llama" (also for Yi) or "mistral".
std::string read_family(const JsonObject& json) {
  static const std::map<std::string, std::string> kTypes = {
      {"llama", "llama"}, {"mistral", "mistral"}, {"yi", "llama"}, {"Yi", "llama"}};
  static const std::map<std::string, std::string> kArchitectures = {
      {"LlamaForCausalLM", "llama"}, {"MistralForCausalLM", "mistral"}, {"YiForCausalLM", "llama"}};
  std::string family;
  if (json.has("architectures")) {
    const nlohmann::json& names = json.at("architectures");
    if (!names.is_array() || names.size() != 1 || !names[0].is_string()) json.wrong("architectures", "a list of one name");
    const auto known = kArchitectures.find(names[0].get<std::string>());
    if (known == kArchitectures.end())
      refuse(json, "architectures", "expunge reads LlamaForCausalLM, MistralForCausalLM and YiForCausalLM");
    family = known->second;
  }
  if (!json.has("model_type") && !family.empty()) return family;
  const auto known = kTypes.find(json.string("model_type"));
  if (known == kTypes.end()) refuse(json, "model_type", "expunge reads llama, mistral and yi");
  return known->second;
}

/// Refuses features that change the computation and that expunge lacks.
void refuse_other_models(const JsonObject& json) {
  if (json.string_or("hidden_act", "silu") != "silu") refuse(json, "hidden_act", "only silu");
  for (const char* key : {"attention_bias", "mlp_bias"})
    if (json.boolean_or(key, false)) refuse(json, key, "only models without biases");
  for (const char* key : {"quantization_config", "num_local_experts"})
    if (json.has(key)) refuse(json, key, "only dense, unquantised models");
  if (json.number_or("partial_rotary_factor", 1) != 1) refuse(json, "partial_rotary_factor", "only 1");
}

/// `absent`: the window if config.json does not mention one; null there means none. Returns 0 for no window or a window of
/// all positions.
int read_window(const JsonObject& json, std::optional<std::int64_t> absent, std::int64_t positions) {
  const bool mentioned = json.value().contains("sliding_window");
  if (mentioned ? !json.has("sliding_window") : !absent) return 0;
  const std::int64_t window = json.integer_or("sliding_window", absent.value_or(0), 1, kMostPositions);
  return window < positions ? static_cast<int>(window) : 0;
}

/// rope_theta and rope_scaling of transformers 4, or rope_parameters of transformers 5, in transformers' order of
/// preference.
double read_rope_theta(const JsonObject& json) {
  for (const char* key : {"rope_scaling", "rope_parameters"}) {
    if (!json.has(key) || json.at(key).empty()) continue;
    const JsonObject rope(json.at(key), fmt::format("{}: {}", json.where(), key));
    const std::string type = rope.string_or("rope_type", rope.string_or("type", "default"));
    if (type != "default") refuse(json, key, "only unscaled rotary embeddings (null or rope_type default)");
    if (rope.number_or("partial_rotary_factor", 1) != 1) refuse(json, key, "only partial_rotary_factor 1");
    if (rope.has("rope_theta")) return rope.number("rope_theta");
    break;
  }
  return json.number_or("rope_theta", 10000);
}

DType read_stored_dtype(const JsonObject& json) {
  const std::string name = json.string_or("dtype", json.string_or("torch_dtype", "float32"));
  for (const DType dtype : {DType::float32, DType::bfloat16, DType::float16, DType::float64})
    if (name == dtype_name(dtype)) return dtype;
  json.wrong(json.has("dtype") ? "dtype" : "torch_dtype", "float32, float16, bfloat16 or float64");
}

int size(const JsonObject& json, const std::string& key, std::int64_t most = kLargestSize) {
  return static_cast<int>(json.integer(key, 1, most));
}

/// Reads num_key_value_heads and head_dim, whose defaults depend on values read before.
void read_heads(const JsonObject& json, bool mistral, LlamaConfig& config) {
  const int heads = config.num_attention_heads;
  const bool mentioned = json.value().contains("num_key_value_heads");
  const int absent = mistral && !mentioned ? 8 : heads;
  config.num_key_value_heads = static_cast<int>(json.integer_or("num_key_value_heads", absent, 1, kLargestSize));
  if (heads % config.num_key_value_heads != 0)
    fail(ExitCode::bad_input,
         fmt::format("{}: num_key_value_heads is {}{}; expected a divisor of num_attention_heads, {}", json.where(),
                     config.num_key_value_heads, mentioned ? "" : " (where absent for this model_type)", heads));
  if (!json.has("head_dim") && config.hidden_size % heads != 0)
    json.wrong("hidden_size", fmt::format("a multiple of num_attention_heads ({})", heads));
  config.head_dim = static_cast<int>(json.integer_or("head_dim", config.hidden_size / heads, 1, kLargestSize / heads));
  if (config.head_dim % 2 != 0)
    fail(ExitCode::bad_input,
         fmt::format("{}: head_dim is {}: rotary embeddings need an even one", json.where(), config.head_dim));
}

std::string shape_text(const std::vector<std::int64_t>& shape) { return fmt::format("{}", fmt::join(shape, " x ")); }

/// Checks that a tied head equals the embedding; transformers ties only equal weights. Compares one row in the middle of the
/// vocabulary, because whole tensors are more than a rank may read.
void check_tied_head(const LlamaConfig& config, const ModelFolder& folder) {
  const std::string head = "lm_head.weight", embedding = "model.embed_tokens.weight";
  if (!folder.has(head)) return;
  const auto width = static_cast<std::size_t>(config.hidden_size);
  const std::size_t row = static_cast<std::size_t>(config.vocab_size / 2) * width;
  std::vector<double> a(width), b(width);
  if (folder.info(head).shape == folder.info(embedding).shape && folder.info(head).readable()) {
    folder.read(head, row, width, a.data());
    folder.read(embedding, row, width, b.data());
    if (a == b) return;
  }
  fail(ExitCode::bad_input,
       fmt::format("{}: tensor {} differs from {}, although config.json has tie_word_embeddings true; set it "
                   "to false, or remove the tensor",
                   folder.path().string(), head, embedding));
}

}  // namespace

std::int64_t LlamaConfig::parameter_count() const {
  std::size_t count = 0;
  for (const UnitLayout& unit : llama_units(*this, 1))
    for (const ParameterView& view : unit.views()) count += view.size;
  return static_cast<std::int64_t>(count);
}

LlamaConfig read_llama_config(const std::filesystem::path& config_json) {
  const JsonObject json(parse_json_file(config_json, kModelConfigLimit), config_json.string());
  const bool mistral = read_family(json) == "mistral";
  refuse_other_models(json);
  LlamaConfig config;
  config.hidden_size = size(json, "hidden_size");
  config.intermediate_size = size(json, "intermediate_size");
  config.num_hidden_layers = size(json, "num_hidden_layers", kMostLayers);
  config.num_attention_heads = size(json, "num_attention_heads");
  read_heads(json, mistral, config);
  config.vocab_size = size(json, "vocab_size", kLargestVocabulary);
  config.max_position_embeddings =
      static_cast<int>(json.integer_or("max_position_embeddings", mistral ? 4096 * 32 : 2048, 1, kMostPositions));
  config.sliding_window =
      read_window(json, mistral ? std::optional<std::int64_t>(4096) : std::nullopt, config.max_position_embeddings);
  config.rms_norm_eps = json.number_or("rms_norm_eps", 1e-6);
  if (!(config.rms_norm_eps > 0)) json.wrong("rms_norm_eps", "a positive number");
  config.rope_theta = read_rope_theta(json);
  if (!(config.rope_theta > 0))
    fail(ExitCode::bad_input, fmt::format("{}: rope_theta is {}; expected a positive number", json.where(), config.rope_theta));
  config.initializer_range = json.number_or("initializer_range", 0.02);
  if (!(config.initializer_range >= 0)) json.wrong("initializer_range", "a number of at least 0");
  config.tie_word_embeddings = json.boolean_or("tie_word_embeddings", false);
  config.torch_dtype = read_stored_dtype(json);
  return config;
}

ModelFolder open_model(const LlamaConfig& config, const std::filesystem::path& path) {
  const std::vector<UnitLayout> units = llama_units(config, 1);
  std::vector<std::string> needed;
  for (const UnitLayout& unit : units)
    for (const ParameterView& view : unit.views()) needed.push_back(view.name);
  ModelFolder folder(path, needed);
  const std::set<std::string> expected(needed.begin(), needed.end());
  const std::string where = path.string();
  for (const UnitLayout& unit : units) {
    for (const ParameterView& view : unit.views()) {
      if (!folder.has(view.name))
        fail(ExitCode::bad_input,
             fmt::format("{}: tensor {} is missing; config.json implies it, {}{}", where, view.name, shape_text(view.shape),
                         folder.has("model.layers.0.ln1.weight")
                             ? "; this is the layout in which Yi was first published (ln1, ln2): fetch its newer revision"
                             : ""));
      const TensorInfo& found = folder.info(view.name);
      if (found.shape != view.shape)
        fail(ExitCode::bad_input, fmt::format("{}: tensor {}: config.json says {}, the file has {}", where, view.name,
                                              shape_text(view.shape), shape_text(found.shape)));
      if (!found.readable())
        fail(ExitCode::bad_input, fmt::format("{}: tensor {} has dtype {}; expected F32, F16, BF16 or F64: convert the model",
                                              where, view.name, found.dtype));
    }
  }
  for (const std::string& name : folder.names()) {
    const bool ignored = name.ends_with("rotary_emb.inv_freq") || (config.tie_word_embeddings && name == "lm_head.weight");
    if (!ignored && !expected.contains(name))
      fail(ExitCode::bad_input,
           fmt::format("{}: tensor {} does not belong to the model that config.json describes", where, json_excerpt(name)));
  }
  if (config.tie_word_embeddings) check_tied_head(config, folder);
  return folder;
}

}  // namespace expunge
