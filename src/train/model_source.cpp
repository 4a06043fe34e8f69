// Finding and reading a model's weights.
#include "expunge/train/model_source.h"

#include <fmt/format.h>

#include "expunge/core/error.h"
#include "expunge/core/random.h"
#include "expunge/data/tokenizer.h"
#include "expunge/io/model_folder.h"
#include "expunge/train/checkpoint.h"

namespace expunge {
namespace {

namespace fs = std::filesystem;

ModelSource from_checkpoint(const fs::path& checkpoint) {
  // <run>/checkpoints/step-NNNNNN beside <run>/model
  const fs::path side_files = fs::absolute(checkpoint).lexically_normal().parent_path().parent_path() / "model";
  return {ModelSource::Kind::checkpoint, checkpoint, side_files, read_llama_config(side_files / "config.json")};
}

/// Rounds and copies host values into a rank's shard.
template <typename A>
void store(const Runtime& runtime, std::span<A> shard, std::size_t offset, std::vector<A>& values, bool round_to_bf16) {
  if (round_to_bf16)
    for (A& value : values) value = static_cast<A>(static_cast<float>(bf16(static_cast<float>(value))));
  copy_bytes(runtime.compute, shard.data() + offset, values.data(), values.size() * sizeof(A));
  runtime.compute.synchronize();
}

/// Reads each parameter's slice of this rank by `read(slice, values)`.
template <Element T, typename Read>
void for_each_slice(ShardedParams<T>& params, bool round_to_bf16, Read read) {
  std::vector<acc_t<T>> values;
  for (int unit = 0; unit < params.units(); ++unit) {
    for (const ParameterSlice& slice : params.layout(unit).slices(params.runtime().comm.rank())) {
      values.resize(slice.count);
      read(slice, values);
      store<acc_t<T>>(params.runtime(), params.master(unit), slice.offset, values, round_to_bf16);
    }
  }
}

}  // namespace

ModelSource locate_model(const Runtime& runtime, const fs::path& path) {
  if (fs::exists(path / "checkpoint.h5")) {
    verify_checkpoint(runtime, path);
    return from_checkpoint(path);
  }
  if (fs::is_directory(path / "checkpoints")) {
    const auto checkpoint = newest_good_checkpoint(runtime, path / "checkpoints");
    if (!checkpoint) fail(ExitCode::bad_input, fmt::format("{}: this run has no good checkpoint yet", path.string()));
    return from_checkpoint(*checkpoint);
  }
  if (!fs::exists(path / "config.json"))
    fail(ExitCode::bad_input, fmt::format("{}: neither a model folder (no config.json) nor a run (no checkpoints/)", path.string()));
  ModelSource source{ModelSource::Kind::folder, path, path, read_llama_config(path / "config.json")};
  check_tensors(source.config, ModelFolder(path));
  return source;
}

ModelSource initial_model(const fs::path& config_json) {
  return {ModelSource::Kind::initial, config_json, config_json.parent_path(), read_llama_config(config_json)};
}

void check_tokenizer(const Runtime& runtime, const ModelSource& source, const TokenFile& tokens) {
  on_root(runtime, [&] {
    if (!fs::exists(source.side_files / "tokenizer.model")) return std::string();
    const std::string hash = Tokenizer(source.side_files).hash();
    if (hash != tokens.info().tokenizer_sha256)
      fail(ExitCode::bad_input,
           fmt::format("{}: the tokens were made with another tokenizer than the model's in {}; tokenize the texts with "
                       "--tokenizer {}",
                       tokens.path().string(), source.side_files.string(), source.side_files.string()));
    return std::string();
  });
}

template <Element T>
void load_weights(const ModelSource& source, std::uint64_t seed, bool round_to_bf16, ShardedParams<T>& params) {
  using A = acc_t<T>;
  switch (source.kind) {
    case ModelSource::Kind::folder: {
      const ModelFolder folder(source.weights);
      return for_each_slice(params, round_to_bf16, [&](const ParameterSlice& slice, std::vector<A>& values) {
        folder.read(slice.view->name, slice.first, values.size(), values.data());
      });
    }
    case ModelSource::Kind::checkpoint: {
      const CheckpointReader reader(source.weights);
      return for_each_slice(params, round_to_bf16, [&](const ParameterSlice& slice, std::vector<A>& values) {
        reader.read("parameters", *slice.view, slice.first, std::span<A>(values));
      });
    }
    case ModelSource::Kind::initial:
      return for_each_slice(params, round_to_bf16, [&](const ParameterSlice& slice, std::vector<A>& values) {
        const std::uint64_t stream = random_stream(slice.view->name);
        for (std::size_t i = 0; i < values.size(); ++i)
          values[i] = slice.view->decays ? static_cast<A>(source.config.initializer_range *
                                                          random_normal(seed, stream, slice.first + i))
                                         : A(1);
      });
  }
}

template void load_weights(const ModelSource&, std::uint64_t, bool, ShardedParams<float>&);
template void load_weights(const ModelSource&, std::uint64_t, bool, ShardedParams<bf16>&);
template void load_weights(const ModelSource&, std::uint64_t, bool, ShardedParams<double>&);

}  // namespace expunge
