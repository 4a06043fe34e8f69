// Checkpoints: a folder step-NNNNNN is either complete and verified, or absent.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "expunge/communicator.h"
#include "fsdp/unit_layout.h"
#include "io/hdf5.h"

namespace expunge {

// On disk, in <run>/checkpoints/step-NNNNNN/:
//   shard-RRRRR-of-WWWWW.h5  rank R's slice of every unit: /parameters/<unit>, /exp_avg/<unit>, /exp_avg_sq/<unit>, 1-D
//   checkpoint.h5            /parameters/<HF name>, /exp_avg/<HF name>, /exp_avg_sq/<HF name> in their true shapes, as
//   virtual
//                            datasets over the shard files; CheckpointInfo as attributes of the root
//   metrics.h5, evaluations.h5  copies of the run's files, if it has them, to replace damaged ones
//   manifest.json            name, bytes and SHA-256 of each file above; its own SHA-256 identifies the checkpoint. Earlier
//                            versions used CRC-32C, which detects only accidental damage.
// The folder is written in a staging folder, flushed to disk, and published by one rename.

inline constexpr const char* kManifest = "manifest.json";

/// Information for a resume and for an auditor, besides the numbers.
struct CheckpointInfo {
  std::int64_t step = 0;          ///< optimizer steps done
  std::int64_t total_steps = 0;   ///< of the whole run
  std::int64_t global_batch = 0;  ///< sequences per optimizer step
  std::int64_t samples = 0;       ///< cursor: consumed items of the sample order
  std::int64_t world_size = 0;    ///< number of ranks that wrote it
  std::uint64_t seed = 0;         ///< seed of all random numbers
  std::string dtype;              ///< compute type
  std::string gather;             ///< "per-step" or "per-micro-step", which determines the order of additions
  std::string recompute;          ///< "none", "light" or "block"
  std::string device, comm;       ///< "cpu" or "cuda"; "mpi", "nccl" or "staged"
  std::string model_sha256;       ///< of the original model, from which the run began
  std::string model_files;        ///< config.json and tokenizer files: lines of sha256sum
  std::string tokens_sha256;
  std::string config;                  ///< resolved options
  std::string libraries;               ///< versions of libraries that affect the numbers, as printed by --version
  std::string version, host, written;  ///< program version, host of rank 0, UTC time of writing
  std::string job_id;                  ///< id of the batch job; empty outside a job
  std::int64_t restarts = 0;           ///< number of earlier resumes
  std::string labels_sha256;           ///< of the label file; empty without one
  // Also empty in checkpoints of versions that did not record them.
  std::string reference_sha256;     ///< of reference.h5, the stored results of the original model
  std::string sample_order_sha256;  ///< of the file of --sample-order
  std::string history;              ///< the earlier runs that led to this one, in the format of history_text()
};

/// This rank's shards of parameters and moments, unit by unit. A is float or double.
template <typename A>
struct StateShards {
  std::vector<UnitLayout> units;
  std::vector<std::span<A>> parameters, exp_avg, exp_avg_sq;
};

/// Bytes of the shards.
template <typename A>
std::size_t state_bytes(const StateShards<A>& state) {
  std::size_t elements = 0;
  for (const auto* group : {&state.parameters, &state.exp_avg, &state.exp_avg_sq})
    for (const std::span<A>& shard : *group) elements += shard.size();
  return elements * sizeof(A);
}

/// The newest checkpoint under `checkpoints` whose files match their manifest; a warning names each skipped one. Collective:
/// ranks share the reading. Throws Error(bad_input) if a manifest is not readable for this user.
std::optional<std::filesystem::path> newest_good_checkpoint(const Runtime& runtime, const std::filesystem::path& checkpoints);
/// Describes the damage of a checkpoint, on every rank; empty for a good one. Collective.
std::string damage_of(const Runtime& runtime, const std::filesystem::path& checkpoint);
/// The same, but checks only names and sizes of files, without reading them. Not collective.
std::string visible_damage(const std::filesystem::path& checkpoint);
/// Whether the index, checkpoint.h5, matches its checksum in the manifest. Not collective. Throws Error(bad_input).
bool index_is_whole(const std::filesystem::path& checkpoint);
/// Throws Error(bad_input) that describes the damage of a bad checkpoint. Collective.
void verify_checkpoint(const Runtime& runtime, const std::filesystem::path& checkpoint);
/// Folders step-NNNNNN, newest first, not verified.
std::vector<std::filesystem::path> list_checkpoints(const std::filesystem::path& checkpoints);
/// Removes leftovers of killed writers.
void sweep_checkpoints(const std::filesystem::path& checkpoints);

/// Reads a checkpoint of any world size and element type. Throws Error(bad_input).
class CheckpointReader {
 public:
  explicit CheckpointReader(const std::filesystem::path& checkpoint);
  const CheckpointInfo& info() const { return info_; }
  /// Elements first .. first + values.size() of a parameter; `group` is parameters, exp_avg or exp_avg_sq. Converts between
  /// float32 and float64.
  template <typename A>
  void read(const std::string& group, const ParameterView& view, std::size_t first, std::span<A> values) const;

 private:
  Hdf5File file_;
  CheckpointInfo info_;
};

/// Fills a rank's shards of parameters and moments; the spans are memory of the stream's device.
template <typename A>
void read_state(const CheckpointReader& reader, int rank, const StateShards<A>& state, Stream& stream);

}  // namespace expunge
