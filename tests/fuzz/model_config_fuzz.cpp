// Fuzzes config.json: an accepted one describes a model whose sizes fit.
#include "model/llama_config.h"
#include "target.h"

namespace expunge::fuzz {
namespace {

void check(const LlamaConfig& c) {
  for (const int size : {c.hidden_size, c.intermediate_size, c.num_hidden_layers, c.num_attention_heads, c.num_key_value_heads,
                         c.head_dim, c.vocab_size, c.max_position_embeddings})
    require(size > 0, "sizes are positive");
  require(c.num_attention_heads % c.num_key_value_heads == 0, "heads are shared evenly");
  require(c.head_dim % 2 == 0, "a head can be rotated");
  require(c.rms_norm_eps > 0 && c.rope_theta > 0 && c.initializer_range >= 0, "constants are in range");
  require(c.num_hidden_layers > 64 || c.parameter_count() > 0, "parameters can be counted");
}

}  // namespace
}  // namespace expunge::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace expunge::fuzz;
  const TimeBudget budget(size);
  const auto path = folder().write("config.json", text(data, size));
  accepts("config.json", [&] { check(expunge::read_llama_config(path)); });
  return 0;
}
