// What a method needs beside the model and its data: a reference model, labels, sequences' nll under the original model.
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

/// The reference model: the original model as a second set of shards. When gathering once per step its whole weights stay for
/// good, since they never change; else two units are whole at a time.
template <Element T>
struct ReferenceModel {
  /// `seed` and `bf16_master_weights` as for load_weights().
  ReferenceModel(const Runtime& runtime, const WeightsSource& source, const ShardingOptions& sharding, std::uint64_t seed,
                 bool bf16_master_weights);
  ShardedParams<T> params;
  Llama<T> model;
};

bool uses_reference(const Objective& objective);

/// Gives every source of `data` that the label file covers its labels. Throws Error(bad_input), also where it covers none or
/// says that it was made for another token file than the one with this hash; warns where it does not say for which. Returns the
/// file's SHA-256. Collective.
std::string give_labels(const Runtime& runtime, const std::filesystem::path& path, const std::string& tokens_sha256,
                        const WeightsSource& source, TrainingData& data);

/// Throws Error(output) when --save-labels names a file that this run did not write, or that cannot be written.
void check_saved_labels(const RunOptions& config, const RunFolder& run);

/// Whether the original model is asked now, on the run's first start, or what it said then is read.
struct FirstStart {
  bool now;
  Provenance provenance;
  /// Asked before every micro-batch of the model, on all ranks alike: true ends the pass, of which nothing is kept.
  std::function<bool()> cut_short;
};

// Each is collective, and false where it was cut short.

/// For a method that replaces labels, unless --labels gave them: those of RUN/labels.h5, drawn and written there on the first
/// start, when `model` is still the original.
template <Element T>
bool prepare_labels(const RunOptions& config, const WeightsSource& source, const RunFolder& run, Llama<T>& model,
                    TrainingData& data, const FirstStart& first);
/// The summed nll of every forget sequence under the original model, from RUN/reference.h5 or made and written there on the
/// first start.
template <Element T>
bool prepare_reference_nll(const RunOptions& config, const RunFolder& run, Llama<T>& model, const TrainingData& data,
                           const FirstStart& first, std::vector<double>& nll);

/// The file of labels that the run trains on, where it has one.
std::filesystem::path labels_file(const RunOptions& config, const RunFolder& run);
/// The SHA-256 of a file; empty where there is none. Collective.
std::string hash_if_there(const Runtime& runtime, const std::filesystem::path& path);

}  // namespace expunge
