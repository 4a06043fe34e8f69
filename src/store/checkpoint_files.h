// Files of a checkpoint and their publication; no communication between ranks.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "io/staging.h"
#include "store/checkpoint.h"

namespace expunge {

struct ManifestFile {
  std::string name;
  std::uint64_t bytes;
  std::string checksum;  ///< hexadecimal SHA-256; CRC-32C in the first manifest format, which detects only accidental damage
  bool has_sha256() const { return checksum.size() == 64; }
};

std::string step_name(std::int64_t step);
bool is_step_name(const std::string& name);
std::string shard_name(std::int64_t rank, std::int64_t world);
/// The manifest's line for a file on disk.
ManifestFile describe_file(const std::filesystem::path& path);
/// Throws Error(bad_input).
std::vector<ManifestFile> read_manifest(const std::filesystem::path& folder);
/// Whether the manifest has SHA-256. CRC-32C of earlier versions detects only accidental damage. Throws Error(bad_input).
bool is_bound(const std::filesystem::path& checkpoint);
/// Computes a file's checksum, of the kind in its manifest line. Throws Error(bad_input) if it cannot be read.
std::string checksum_now(const std::filesystem::path& folder, const ManifestFile& file);

/// Visits the fields of CheckpointInfo with their attribute names.
template <typename Info, typename Visit>
void for_each_attribute(Info& info, Visit visit) {
  visit("step", info.step);
  visit("total_steps", info.total_steps);
  visit("global_batch", info.global_batch);
  visit("samples", info.samples);
  visit("world_size", info.world_size);
  visit("seed", info.seed);
  visit("dtype", info.dtype);
  visit("gather", info.gather);
  visit("recompute", info.recompute);
  visit("device", info.device);
  visit("comm", info.comm);
  visit("model_sha256", info.model_sha256);
  visit("model_files", info.model_files);
  visit("tokens_sha256", info.tokens_sha256);
  visit("config", info.config);
  visit("version", info.version);
  visit("libraries", info.libraries);
  visit("host", info.host);
  visit("written", info.written);
  visit("job_id", info.job_id);
  visit("restarts", info.restarts);
  visit("labels_sha256", info.labels_sha256);
}
/// The same for fields that checkpoints of earlier versions lack.
template <typename Info, typename Visit>
void for_each_later_attribute(Info& info, Visit visit) {
  visit("reference_sha256", info.reference_sha256);
  visit("sample_order_sha256", info.sample_order_sha256);
  visit("history", info.history);
}

/// The three groups of a checkpoint, with their shards.
template <typename A>
auto checkpoint_groups(const StateShards<A>& state) {
  return std::vector<std::pair<std::string, const std::vector<std::span<A>>*>>{
      {"parameters", &state.parameters}, {"exp_avg", &state.exp_avg}, {"exp_avg_sq", &state.exp_avg_sq}};
}

// Each function below throws Error(output).

/// Writes this rank's shard file, or stops early when `give_up` returns true. Returns its manifest line.
template <typename A>
ManifestFile write_shards(const std::filesystem::path& path, const StateShards<A>& state, const std::function<bool()>& give_up);
/// Writes the index, copies of `logs` and the manifest into the folder. Every rank has written its shard file before;
/// `shards` are their manifest lines.
template <typename A>
void complete_checkpoint(const std::filesystem::path& folder, const CheckpointInfo& info, const StateShards<A>& state,
                         std::vector<ManifestFile> shards, const std::vector<std::filesystem::path>& logs);
/// Publishes the folder of that name in `staging` as `live`, .../step-NNNNNN. Then removes checkpoints beyond `keep` (0: keep
/// all), those of later steps first, then the oldest, but never that of the step `preferred` (-1: none).
void publish_checkpoint(const Staging& staging, const std::filesystem::path& live, std::int64_t keep, std::int64_t preferred);
/// Renames a damaged checkpoint, so that it no longer counts as one, and logs that.
void set_aside(const std::filesystem::path& checkpoint);
/// Removes an existing checkpoint's files, at once or at the next start, and its folder unless foreign files are in it.
void remove_checkpoint(const std::filesystem::path& checkpoint);
/// The same for checkpoints of steps after `first` up to `last`.
void remove_checkpoints_between(const std::filesystem::path& checkpoints, std::int64_t first, std::int64_t last);
/// The first file in a checkpoint's folder that does not belong to it, or whatever stands in the folder's place; nullopt if
/// all is ours.
std::optional<std::filesystem::path> foreign_in_checkpoint(const std::filesystem::path& checkpoint);
/// The same for all checkpoints.
std::optional<std::filesystem::path> foreign_in_checkpoints(const std::filesystem::path& checkpoints);
/// Removes all checkpoints, including those set aside, and the folder itself if it is then empty.
void remove_checkpoints(const std::filesystem::path& checkpoints);

}  // namespace expunge
