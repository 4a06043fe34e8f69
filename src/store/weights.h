// Where a model's weights come from: a Hugging Face folder, a checkpoint of a run, or random numbers.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include "fsdp/sharded_params.h"
#include "model/llama_config.h"

namespace expunge {

struct ModelSource {
  enum class Kind { folder, checkpoint, initial };
  Kind kind;
  std::filesystem::path weights;     ///< model folder, checkpoint folder, or the config.json of an initial model
  std::filesystem::path side_files;  ///< folder of config.json and tokenizer files
  LlamaConfig config;
};

/// Finds the model that a user means by a path: a Hugging Face folder, a run folder (its newest good checkpoint) or a
/// checkpoint folder. A checkpoint is verified, a folder's tensors are held against its config.json. Collective. Throws
/// Error(bad_input).
ModelSource locate_model(const Runtime& runtime, const std::filesystem::path& path);
/// Where config.json and the tokenizer's files of such a path lie: those of a run and of its checkpoints, in the run.
std::filesystem::path side_files_folder(const std::filesystem::path& path);
/// A model of random weights: normal with standard deviation initializer_range, norms 1; they depend on seed, name and place
/// alone, not on the world size.
ModelSource initial_model(const std::filesystem::path& config_json);

/// Fills this rank's shards, reading only its slices; `round_to_bf16` rounds them.
template <Element T>
void load_weights(const ModelSource& source, std::uint64_t seed, bool round_to_bf16, ShardedParams<T>& params);

/// How far master weights are from those of a source.
struct WeightsMoved {
  double share;       ///< of the weights that differ at all
  double share_bf16;  ///< that differ when both are rounded to bfloat16
  double relative;    ///< ||w - w_source|| / ||w_source||
};
/// Reads the source slice by slice again. Collective.
template <Element T>
WeightsMoved weights_moved(const ModelSource& source, std::uint64_t seed, bool round_to_bf16, ShardedParams<T>& params);

/// Identity of the weights: for one safetensors file its SHA-256; for several, the SHA-256 of the lines that sha256sum prints
/// for them in name order; for a checkpoint, of its manifest; for an initial model, of its config.json. A rank reads its own
/// slices of the files and hands the state of the hash on. Collective.
std::string model_sha256(const ModelSource& source, const Runtime& runtime, const std::vector<UnitLayout>& units);

}  // namespace expunge
