// The earlier runs whose work a run began from.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "io/json.h"
#include "run/options.h"
#include "store/weights.h"

namespace expunge {

/// An earlier run whose weights a run began from. A record keeps all of them, oldest first. Thus it describes every step since
/// the original model, even if the earlier runs are gone.
struct FormerRun {
  std::string how;            ///< kState, kWeights or kExport
  std::string from;           ///< the checkpoint's folder, or the exported model's
  std::string sha256;         ///< of the checkpoint's manifest.json, or of the exported model's expunge.json
  std::int64_t step = 0;      ///< optimizer steps that the earlier run had made
  std::string config;         ///< its options
  std::string model_sha256;   ///< of the model that it began from
  std::string tokens_sha256;  ///< of its token file

  /// The options as values. Throws Error(bad_input).
  RunOptions options() const;

  static constexpr const char* kState = "state";      ///< weights and moments; its steps count (--resume-from-checkpoint)
  static constexpr const char* kWeights = "weights";  ///< a run or checkpoint given as --model
  static constexpr const char* kExport = "export";    ///< an exported model given as --model
};

/// The text of a record; empty for no runs.
std::string history_text(const std::vector<FormerRun>& history);
/// Parses the text of a record. Throws Error(bad_input) with `where`.
std::vector<FormerRun> parse_history(const std::string& text, const std::string& where);

/// The expunge.json of an exported model. Throws Error(bad_input).
JsonObject read_export_record(const std::filesystem::path& path);
/// The earlier runs that this record names. Throws Error(bad_input).
std::vector<FormerRun> history_of_record(const JsonObject& record);

/// The runs before a checkpoint, then the checkpoint's own run; `how` says what is used of it. Throws Error(bad_input).
std::vector<FormerRun> history_of_checkpoint(const std::filesystem::path& checkpoint, const char* how);
/// The same for a model with this hash. Empty if no run made the model. Warns and returns nothing if its expunge.json belongs
/// to other weights. Throws Error(bad_input).
std::vector<FormerRun> history_of_model(const WeightsSource& source, const std::string& model_sha256);

/// The hash of the checkpoint that an exported model was made from, as its expunge.json records it. Empty if `model_sha256` is
/// given and that file belongs to other weights. Throws Error(bad_input).
std::string checkpoint_of_export(const std::filesystem::path& record, const std::string& model_sha256 = {});

/// The method of a run with these options, or "train".
std::string method_of(const RunOptions& options);
/// "gradient_ascent on papers", or "train on papers/forget, papers/retain", of a run with these options.
std::string describe_work(const RunOptions& options);
/// The model that a run with these options began from: a folder, or the config.json of a model with random weights.
std::string original_model(const RunOptions& options);

}  // namespace expunge
