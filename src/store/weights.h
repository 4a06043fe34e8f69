// Sources of a model's weights: a Hugging Face folder, a checkpoint of a run, or random numbers.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include "fsdp/sharded_params.h"
#include "model/llama_config.h"

namespace expunge {

struct WeightsSource {
  enum class Kind { folder, checkpoint, initial };
  Kind kind;
  std::filesystem::path weights;     ///< model folder, checkpoint folder, or the config.json of an initial model
  std::filesystem::path side_files;  ///< folder of config.json and tokenizer files
  LlamaConfig config;
};

/// Finds a user's model by path: a Hugging Face folder, a run folder (its newest good checkpoint) or a checkpoint folder.
/// Verifies a checkpoint, and checks a folder's tensors against its config.json. Collective. Throws Error(bad_input).
WeightsSource locate_model(const Runtime& runtime, const std::filesystem::path& path);
/// Folder of config.json and the tokenizer's files for such a path; for a run and its checkpoints it lies in the run.
std::filesystem::path side_files_folder(const std::filesystem::path& path);
/// A model of random weights: normal with standard deviation initializer_range; norms are 1. They depend only on seed, name
/// and position, not on the world size.
WeightsSource initial_model(const std::filesystem::path& config_json);

/// Fills this rank's shards and reads only its slices; `round_to_bf16` rounds them.
template <Element T>
void load_weights(const WeightsSource& source, std::uint64_t seed, bool round_to_bf16, ShardedParams<T>& params);

/// Distance of master weights from those of a source.
struct WeightsMoved {
  double share;       ///< fraction of weights that differ at all
  double share_bf16;  ///< fraction that differs after rounding both to bfloat16
  double relative;    ///< ||w - w_source|| / ||w_source||
};
/// Reads the source slice by slice again. Collective.
template <Element T>
WeightsMoved weights_moved(const WeightsSource& source, std::uint64_t seed, bool round_to_bf16, ShardedParams<T>& params);

/// Identity of the weights, a SHA-256: of a single safetensors file; for several files, of the lines that sha256sum prints
/// for them in name order; for a checkpoint, of its manifest; for an initial model, of its config.json. Each rank reads its
/// own slices and passes the hash state on. Collective.
std::string model_sha256(const WeightsSource& source, const Runtime& runtime, const std::vector<UnitLayout>& units);

}  // namespace expunge
