// Inputs of a method besides the model and its data: the reference model, labels, nll of sequences under the original model.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "inference/scorer.h"
#include "run/options.h"
#include "run/provenance.h"
#include "run/run_folder.h"
#include "store/weights.h"
#include "training/training_data.h"

namespace expunge {

/// The reference model: the original model as a second set of shards that is never trained. With gathering once per step its
/// whole weights are gathered once and kept, because they never change; else two units are whole at a time.
template <Element T>
struct ReferenceModel {
  /// `seed` and `bf16_master_weights` as for load_weights().
  ReferenceModel(const Runtime& runtime, const WeightsSource& source, const ShardingOptions& sharding, std::uint64_t seed,
                 bool bf16_master_weights);
  ShardedParams<T> params;
  Llama<T> model;
};

/// True if a term of the objective compares with the reference model.
bool uses_reference(const Objective& objective);

/// Sets the labels of every source of `data` that the label file covers. Returns the file's SHA-256. Throws Error(bad_input)
/// for a bad file, for one that covers no source, and for one that names another token file. Warns if it names none.
/// Collective.
std::string give_labels(const Runtime& runtime, const std::filesystem::path& path, const std::string& tokens_sha256,
                        const WeightsSource& source, TrainingData& data);

/// Throws Error(output) if --save-labels names a file that this run did not write or cannot write.
void check_saved_labels(const LabelOptions& options, const RunFolder& run);

/// The passes of the original model are made on the run's first start only; later starts read the stored results.
struct FirstStart {
  bool now;
  Provenance provenance;
  /// Called before every micro-batch, with the same result on all ranks; true ends the pass without a result.
  std::function<bool()> cut_short;
};

// Both functions are collective; they return false if the pass was cut short.

/// Sets the labels of a method that replaces labels, unless --labels gave them. The first start draws them from `model`, which
/// must still be the original model, and writes RUN/labels.h5; later starts read that file.
template <Element T>
bool prepare_labels(const RunOptions& config, const WeightsSource& source, const RunFolder& run, Llama<T>& model,
                    TrainingData& data, const FirstStart& first);
/// Sets `nll` to the summed nll of every forget sequence under the original model. The first start computes it and writes
/// RUN/reference.h5; later starts read that file.
template <Element T>
bool prepare_reference_nll(const BatchOptions& batch, const RunFolder& run, Llama<T>& model, const TrainingData& data,
                           const FirstStart& first, std::vector<double>& nll);

/// The file of the labels that the run trains on; it may not exist.
std::filesystem::path labels_file(const LabelOptions& options, const RunFolder& run);
/// SHA-256 of a file; empty if it does not exist. Collective.

std::string hash_if_there(const Runtime& runtime, const std::filesystem::path& path);

}  // namespace expunge
