// The files of a checkpoint and how they become live; no rank talks to another here.
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
  std::string checksum;  ///< SHA-256; in a manifest of the first format CRC-32C, which shows accidents alone; hexadecimal
  bool has_sha256() const { return checksum.size() == 64; }
};

std::string step_name(std::int64_t step);
bool is_step_name(const std::string& name);
std::string shard_name(std::int64_t rank, std::int64_t world);
/// What the manifest says of a file as it lies on disk.
ManifestFile describe_file(const std::filesystem::path& path);
/// Throws Error(bad_input).
std::vector<ManifestFile> read_manifest(const std::filesystem::path& folder);
/// Whether the manifest names SHA-256. One with CRC-32C, of an earlier version, shows accidents alone. Throws Error(bad_input).
bool is_bound(const std::filesystem::path& checkpoint);
/// A file's checksum of the kind that its line of the manifest has. Throws Error(bad_input) where it cannot be read.
std::string checksum_now(const std::filesystem::path& folder, const ManifestFile& file);

/// Visits what CheckpointInfo holds with the names of the root's attributes.
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
/// The same of what checkpoints of earlier versions lack.
template <typename Info, typename Visit>
void for_each_later_attribute(Info& info, Visit visit) {
  visit("reference_sha256", info.reference_sha256);
  visit("sample_order_sha256", info.sample_order_sha256);
  visit("history", info.history);
}

/// The three groups of a checkpoint and the shards that fill them.
template <typename A>
auto checkpoint_groups(const StateShards<A>& state) {
  return std::vector<std::pair<std::string, const std::vector<std::span<A>>*>>{
      {"parameters", &state.parameters}, {"exp_avg", &state.exp_avg}, {"exp_avg_sq", &state.exp_avg_sq}};
}

// Each throws Error(output).

/// This rank's shard file; ends without it when `give_up` says so. Returns what the manifest says of it.
template <typename A>
ManifestFile write_shards(const std::filesystem::path& path, const StateShards<A>& state, const std::function<bool()>& give_up);
/// The index, copies of `logs` and the manifest in the folder, to which every rank has written the shard file that `shards`
/// describes.
template <typename A>
void complete_checkpoint(const std::filesystem::path& folder, const CheckpointInfo& info, const StateShards<A>& state,
                         std::vector<ManifestFile> shards, const std::vector<std::filesystem::path>& logs);
/// Makes the folder of that name in `staging` live as `live`, .../step-NNNNNN, then removes checkpoints beyond `keep` (0: keeps
/// all), first those of later steps, then the oldest, but not that of the step `preferred` (-1: none).
void publish_checkpoint(const Staging& staging, const std::filesystem::path& live, std::int64_t keep, std::int64_t preferred);
/// Renames a damaged checkpoint, so that it counts as none, and says so.
void set_aside(const std::filesystem::path& checkpoint);
/// Removes the files of a checkpoint, if it is there, at once or at the next start, and its folder unless it holds other files.
void remove_checkpoint(const std::filesystem::path& checkpoint);
/// The same for those of steps after `first` up to `last`.
void remove_checkpoints_between(const std::filesystem::path& checkpoints, std::int64_t first, std::int64_t last);
/// The first file in a checkpoint's folder that is not of the checkpoint, or what stands in its place; nothing where all is
/// ours.
std::optional<std::filesystem::path> foreign_in_checkpoint(const std::filesystem::path& checkpoint);
/// The same of all checkpoints.
std::optional<std::filesystem::path> foreign_in_checkpoints(const std::filesystem::path& checkpoints);
/// The same for all in the folder, those set aside too, and for the folder itself.
void remove_checkpoints(const std::filesystem::path& checkpoints);

}  // namespace expunge
