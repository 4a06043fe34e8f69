// config.json: defaults, what is refused, and the tensors it implies.
#include "model/llama_config.h"

#include <gmock/gmock.h>

#include <nlohmann/json.hpp>

#include "model/llama.h"
#include "support/temporary_folder.h"

namespace expunge {
namespace {

using nlohmann::json;
using testing::AllOf;
using testing::HasSubstr;

/// The least that a config.json must say.
json least() {
  return {{"model_type", "llama"},  {"hidden_size", 64},        {"intermediate_size", 100},
          {"num_hidden_layers", 2}, {"num_attention_heads", 8}, {"vocab_size", 131}};
}

LlamaConfig config_of(const json& value) {
  const TemporaryFolder folder;
  return read_llama_config(folder.write("config.json", value.dump()));
}

LlamaConfig config_with(const json& changes) {
  json value = least();
  value.update(changes);
  return config_of(value);
}

std::string error_with(const json& changes) {
  return error_of(ExitCode::bad_input, [&] { config_with(changes); });
}

TEST(LlamaConfig, AbsentKeysHaveTransformersDefaults) {
  const LlamaConfig c = config_of(least());
  EXPECT_EQ(c.hidden_size, 64);
  EXPECT_EQ(c.intermediate_size, 100);
  EXPECT_EQ(c.num_hidden_layers, 2);
  EXPECT_EQ(c.num_attention_heads, 8);
  EXPECT_EQ(c.num_key_value_heads, 8);
  EXPECT_EQ(c.head_dim, 8);
  EXPECT_EQ(c.vocab_size, 131);
  EXPECT_EQ(c.max_position_embeddings, 2048);
  EXPECT_EQ(c.rms_norm_eps, 1e-6);
  EXPECT_EQ(c.rope_theta, 10000);
  EXPECT_EQ(c.initializer_range, 0.02);
  EXPECT_FALSE(c.tie_word_embeddings);
  EXPECT_EQ(c.torch_dtype, DType::float32);
}

/// Transformers computes nothing with such a null: the key may as well be absent.
TEST(LlamaConfig, NullIsAbsent) {
  const LlamaConfig c =
      config_with({{"rms_norm_eps", nullptr}, {"rope_theta", nullptr}, {"initializer_range", nullptr}, {"head_dim", nullptr}});
  EXPECT_EQ(c.rms_norm_eps, 1e-6);
  EXPECT_EQ(c.rope_theta, 10000);
  EXPECT_EQ(c.initializer_range, 0.02);
  EXPECT_EQ(c.head_dim, 8);
}

TEST(LlamaConfig, ReadsWhatIsThere) {
  const LlamaConfig c = config_with({{"num_key_value_heads", 2},
                                     {"head_dim", 16},
                                     {"max_position_embeddings", 77},
                                     {"rms_norm_eps", 1e-5},
                                     {"rope_theta", 5e6},
                                     {"rope_scaling", nullptr},
                                     {"initializer_range", 0.5},
                                     {"tie_word_embeddings", true},
                                     {"torch_dtype", "bfloat16"},
                                     {"pretraining_tp", 2},
                                     {"architectures", {"LlamaForCausalLM"}}});
  EXPECT_EQ(c.num_key_value_heads, 2);
  EXPECT_EQ(c.head_dim, 16);
  EXPECT_EQ(c.max_position_embeddings, 77);
  EXPECT_EQ(c.rms_norm_eps, 1e-5);
  EXPECT_EQ(c.rope_theta, 5e6);
  EXPECT_EQ(c.initializer_range, 0.5);
  EXPECT_TRUE(c.tie_word_embeddings);
  EXPECT_EQ(c.torch_dtype, DType::bfloat16);
}

TEST(LlamaConfig, ReadsTheKeysOfTransformers5) {
  const LlamaConfig c =
      config_with({{"dtype", "float16"}, {"rope_parameters", {{"rope_theta", 50000.0}, {"rope_type", "default"}}}});
  EXPECT_EQ(c.rope_theta, 50000);
  EXPECT_EQ(c.torch_dtype, DType::float16);
  EXPECT_EQ(config_with({{"rope_scaling", {{"type", "default"}}}, {"rope_theta", 7.0}}).rope_theta, 7);
  EXPECT_EQ(config_with({{"rope_scaling", json::object()}, {"rope_parameters", {{"rope_theta", 8}}}}).rope_theta, 8);
}

TEST(LlamaConfig, AcceptsYiAndMistralWithoutShortWindow) {
  EXPECT_EQ(config_with({{"model_type", "yi"}, {"architectures", {"YiForCausalLM"}}}).num_key_value_heads, 8);
  json named_by_architecture = least();
  named_by_architecture.erase("model_type");
  named_by_architecture["architectures"] = {"LlamaForCausalLM"};
  EXPECT_EQ(config_of(named_by_architecture).hidden_size, 64);

  const json mistral = {{"model_type", "mistral"}, {"architectures", {"MistralForCausalLM"}}, {"sliding_window", nullptr}};
  const LlamaConfig c = config_with(mistral);
  EXPECT_EQ(c.num_key_value_heads, 8);
  EXPECT_EQ(c.max_position_embeddings, 131072);
  const auto with = [&](json changes) {
    json all = mistral;
    all.update(changes);
    return all;
  };
  EXPECT_EQ(config_with(with({{"num_attention_heads", 16}})).num_key_value_heads, 8);  // absent
  EXPECT_EQ(config_with(with({{"num_attention_heads", 16}, {"num_key_value_heads", nullptr}})).num_key_value_heads, 16);
  EXPECT_EQ(config_with(with({{"sliding_window", 4096}, {"max_position_embeddings", 4096}})).max_position_embeddings, 4096);
  const auto longest = [&](json changes) { return config_with(with(std::move(changes))).longest_sequence(); };
  EXPECT_EQ(longest({{"sliding_window", 4096}, {"max_position_embeddings", 4096}}), 4096);
  EXPECT_EQ(longest({{"sliding_window", 5000}, {"max_position_embeddings", 4096}}), 4096);
  EXPECT_EQ(longest({{"sliding_window", 4095}, {"max_position_embeddings", 4096}}), 4095);
  EXPECT_EQ(config_with({{"model_type", "mistral"}, {"num_key_value_heads", nullptr}}).longest_sequence(),
            4096);  // its default
  EXPECT_THAT(error_with(with({{"sliding_window", 0}})), HasSubstr("'sliding_window'"));
  EXPECT_THAT(error_with(with({{"num_attention_heads", 4}})), HasSubstr("num_key_value_heads is 8 (where absent"));
}

TEST(LlamaConfig, RefusesOtherModelsByName) {
  const auto refused = [](const char* key, const json& value) {
    const std::string message = error_with({{key, value}});
    EXPECT_THAT(message, AllOf(HasSubstr("config.json: "), HasSubstr(std::string("key '") + key + "' is " + value.dump()),
                               HasSubstr("not supported")));
  };
  refused("model_type", "gpt2");
  refused("architectures", {"LlamaForSequenceClassification"});
  refused("rope_scaling", {{"factor", 2.0}, {"type", "linear"}});
  refused("rope_scaling", {{"factor", 8.0}, {"rope_type", "llama3"}});
  refused("rope_parameters", {{"rope_theta", 1e4}, {"rope_type", "yarn"}});
  refused("rope_parameters", {{"partial_rotary_factor", 0.5}, {"rope_theta", 1e4}});
  refused("partial_rotary_factor", 0.5);
  refused("attention_bias", true);
  refused("mlp_bias", true);
  refused("hidden_act", "gelu");
  refused("quantization_config", {{"bits", 4}});
  refused("num_local_experts", 8);
  EXPECT_THAT(error_with({{"architectures", "LlamaForCausalLM"}}), HasSubstr("a list of one name"));
  json nameless = least();
  nameless.erase("model_type");
  EXPECT_THAT(error_of(ExitCode::bad_input, [&] { config_of(nameless); }), HasSubstr("'model_type' is missing"));
}

TEST(LlamaConfig, RefusesMissingAndWrongSizes) {
  for (const char* key : {"hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads", "vocab_size"}) {
    json without = least();
    without.erase(key);
    EXPECT_THAT(error_of(ExitCode::bad_input, [&] { config_of(without); }), HasSubstr(std::string("'") + key + "' is missing"));
    for (const json& value :
         {json(0), json(-4), json(std::int64_t{1} << 40), json(18446744073709551615u), json(2.5), json("64")})
      EXPECT_THAT(error_with({{key, value}}), AllOf(HasSubstr(std::string("'") + key + "': expected a positive integer"),
                                                    HasSubstr("found " + value.dump())));
  }
  EXPECT_THAT(error_with({{"num_attention_heads", 7}}),
              HasSubstr("'hidden_size': expected a multiple of num_attention_heads (7)"));
  EXPECT_THAT(error_with({{"num_key_value_heads", 3}}), HasSubstr("num_key_value_heads is 3; expected a divisor"));
  EXPECT_THAT(error_with({{"head_dim", 5}}), HasSubstr("head_dim is 5: rotary embeddings need an even one"));
  EXPECT_THAT(error_with({{"num_attention_heads", 64}}), HasSubstr("head_dim is 1"));
  EXPECT_THAT(error_with({{"head_dim", 1 << 20}}), HasSubstr("'head_dim'"));
  EXPECT_THAT(error_with({{"hidden_size", 64}, {"num_attention_heads", 128}, {"head_dim", nullptr}}),
              HasSubstr("'hidden_size'"));
  EXPECT_THAT(error_with({{"rms_norm_eps", 0}}), HasSubstr("'rms_norm_eps': expected a positive number"));
  EXPECT_THAT(error_with({{"rope_theta", -1.0}}), HasSubstr("rope_theta is -1"));
  EXPECT_THAT(error_with({{"initializer_range", -0.1}}), HasSubstr("'initializer_range'"));
  EXPECT_THAT(error_with({{"torch_dtype", "int8"}}),
              HasSubstr("'torch_dtype': expected float32, float16, bfloat16 or float64"));
  EXPECT_THAT(error_with({{"tie_word_embeddings", "yes"}}), HasSubstr("'tie_word_embeddings': expected true or false"));
}

TEST(LlamaConfig, TheLargestModelAcceptedDoesNotOverflow) {
  constexpr int kMost = 1 << 20;
  const LlamaConfig c = config_with({{"hidden_size", kMost},
                                     {"intermediate_size", kMost},
                                     {"num_attention_heads", 1},
                                     {"num_hidden_layers", 4096},
                                     {"vocab_size", 1 << 24}});
  const std::int64_t m = kMost;
  EXPECT_EQ(c.parameter_count(), 4096 * (7 * m * m + 2 * m) + 2 * (std::int64_t{1} << 24) * m + m);
}

TEST(LlamaConfig, CountsParameters) {
  // Yi-6B, as published.
  const LlamaConfig yi = config_with({{"hidden_size", 4096},
                                      {"intermediate_size", 11008},
                                      {"num_hidden_layers", 32},
                                      {"num_attention_heads", 32},
                                      {"num_key_value_heads", 4},
                                      {"vocab_size", 64000}});
  EXPECT_EQ(yi.parameter_count(), 6'061'035'520);
}

/// A folder with the weights of a model, after `change` has been applied to the list of its tensors.
class OpenModelTest : public testing::Test {
 protected:
  using Tensors = std::vector<SafetensorsWriter::Tensor>;

  template <typename Change>
  void write(Change change) {
    Tensors tensors;
    for (const UnitLayout& unit : llama_units(config_, 1))
      for (const ParameterView& view : unit.views()) tensors.push_back({view.name, view.shape});
    change(tensors);
    SafetensorsWriter writer(folder_ / "model.safetensors", DType::bfloat16, tensors);
    for (const SafetensorsWriter::Tensor& tensor : tensors) {
      const std::vector<double> values(tensor.elements(), tensor.name == "lm_head.weight" ? head_value_ : 1.0);
      writer.append(values.data(), values.size());
    }
    writer.finish();
  }
  template <typename Change>
  void accept(Change change) {
    write(change);
    EXPECT_TRUE(open_model(config_, folder_.path()).has("model.norm.weight"));
  }
  std::string error() {
    return error_of(ExitCode::bad_input, [&] { open_model(config_, folder_.path()); });
  }
  template <typename Change>
  std::string error_of_tensors(Change change) {
    write(change);
    return error();
  }

  TemporaryFolder folder_;
  LlamaConfig config_ = config_with({{"num_key_value_heads", 4}});
  double head_value_ = 1;
};

TEST_F(OpenModelTest, AcceptsWhatFits) {
  accept([](Tensors&) {});
  accept([](Tensors& t) { t.push_back({"model.layers.0.self_attn.rotary_emb.inv_freq", {4}}); });
}

TEST_F(OpenModelTest, NamesWhatDoesNotFit) {
  EXPECT_THAT(
      error_of_tensors([](Tensors& t) { std::erase_if(t, [](const auto& x) { return x.name == "model.norm.weight"; }); }),
      HasSubstr("tensor model.norm.weight is missing; config.json implies it, 64"));
  EXPECT_THAT(error_of_tensors([](Tensors& t) {
                for (auto& x : t)
                  if (x.name == "model.layers.0.self_attn.k_proj.weight") x.shape = {64, 64};
              }),
              HasSubstr("model.layers.0.self_attn.k_proj.weight: config.json says 32 x 64, the file has 64 x 64"));
  EXPECT_THAT(error_of_tensors([](Tensors& t) {
                t.push_back({"model.layers.2.mlp.up_proj.weight", {100, 64}});
              }),
              HasSubstr("\"model.layers.2.mlp.up_proj.weight\" does not belong"));
  EXPECT_THAT(error_of_tensors([](Tensors& t) {
                t.push_back({"model.layers.0.self_attn.q_proj.bias", {64}});
              }),
              HasSubstr("does not belong"));
}

/// Its bytes are still there: the hole is what a reader of the file alone sees.
TEST_F(OpenModelTest, NamesTheTensorThatLeftAHole) {
  write([](Tensors&) {});
  const std::string name = "\"model.norm.weight\":";
  std::string bytes = slurp(folder_ / "model.safetensors");
  const std::size_t begin = bytes.find(name), end = bytes.find("}", begin) + 1;
  bytes.replace(begin - 1, end - begin + 1, std::string(end - begin + 1, ' '));
  folder_.write("model.safetensors", bytes);
  EXPECT_THAT(error(), AllOf(HasSubstr("128 bytes"), HasSubstr("; tensor \"model.norm.weight\" is missing")));
}

TEST_F(OpenModelTest, RefusesUnreadableDtypes) {
  write([](Tensors&) {});
  std::string bytes = slurp(folder_ / "model.safetensors");
  const std::string name = "\"model.norm.weight\":{\"dtype\":\"BF16\"";
  bytes.replace(bytes.find(name) + name.size() - 5, 5, "I16\" ");
  folder_.write("model.safetensors", bytes);
  EXPECT_THAT(error(), AllOf(HasSubstr("tensor model.norm.weight has dtype I16"), HasSubstr("expected F32, F16, BF16 or F64")));
}

TEST_F(OpenModelTest, ATiedModelMayStoreAnEqualHead) {
  config_.tie_word_embeddings = true;
  const auto with_head = [](Tensors& t) { t.push_back({"lm_head.weight", {131, 64}}); };
  accept([](Tensors&) {});
  accept(with_head);
  head_value_ = 2;
  EXPECT_THAT(error_of_tensors(with_head), HasSubstr("lm_head.weight differs from model.embed_tokens.weight"));
  head_value_ = 1;
  EXPECT_THAT(error_of_tensors([](Tensors& t) {
                t.push_back({"lm_head.weight", {130, 64}});
              }),
              HasSubstr("lm_head.weight differs"));
}

}  // namespace
}  // namespace expunge
