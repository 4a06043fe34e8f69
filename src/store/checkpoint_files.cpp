// Writes the files of a checkpoint and publishes them.
#include "store/checkpoint_files.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <stdio.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <functional>
#include <map>
#include <set>

#include "core/log.h"
#include "core/text.h"
#include "expunge/error.h"
#include "io/direct_file.h"
#include "io/files.h"
#include "io/hash.h"
#include "io/hdf5.h"
#include "io/hdf5_seal.h"
#include "io/json.h"

namespace expunge {
namespace {

namespace fs = std::filesystem;

constexpr int kManifestVersion = 2, kManifestVersionOfCrc = 1;
constexpr std::uint64_t kManifestLimit = std::uint64_t{64} << 20, kLogLimit = std::uint64_t{1} << 30;
constexpr std::string_view kDamaged = "damaged-";
// Name, in a staging folder, of a checkpoint that another one of the same step replaces.
constexpr std::string_view kReplaced = "replaced";
// Prefixes that earlier versions used for unfinished, removed and replaced folders.
constexpr std::string_view kFormerPrefixes[] = {".writing-", ".removed-", ".replaced-"};

template <typename A>
void write_index(const fs::path& path, const CheckpointInfo& info, const StateShards<A>& state) {
  Hdf5File file = Hdf5File::create(path);
  const auto write = [&](const char* name, const auto& value) { file.write_attribute("/", name, value); };
  for_each_attribute(info, write);
  for_each_later_attribute(info, write);
  for (const auto& [group, shards] : checkpoint_groups(state)) {
    for (const UnitLayout& unit : state.units) {
      std::vector<std::vector<VirtualRange>> ranges(unit.views().size());
      for (int rank = 0; rank < static_cast<int>(info.world_size); ++rank)
        for (const ParameterSlice& slice : unit.slices(rank))
          ranges[static_cast<std::size_t>(slice.view - unit.views().data())].push_back(
              {shard_name(rank, info.world_size), "/" + group + "/" + unit.name(), slice.offset, slice.first, slice.count});
      for (std::size_t v = 0; v < unit.views().size(); ++v) {
        const ParameterView& view = unit.views()[v];
        file.create_virtual<A>("/" + group + "/" + view.name, {view.shape.begin(), view.shape.end()}, ranges[v]);
      }
    }
  }
  file.close();
  sync_to_disk(path);
}

void write_manifest(const fs::path& folder, std::int64_t step, const std::vector<ManifestFile>& files) {
  nlohmann::ordered_json manifest = {
      {"format_version", kManifestVersion}, {"step", step}, {"files", nlohmann::ordered_json::array()}};
  for (const ManifestFile& file : files)
    manifest["files"].push_back({{"name", file.name}, {"bytes", file.bytes}, {"sha256", file.checksum}});
  write_file_atomically(folder / kManifest, manifest.dump(1) + "\n");
}

bool is_number(std::string_view text) {
  return !text.empty() && text.find_first_not_of("0123456789") == std::string_view::npos;
}

/// Whether `name` is a file name of a checkpoint.
bool is_checkpoint_file(const std::string& name) {
  if (name == kManifest || name == "checkpoint.h5" || name == "metrics.h5" || name == "evaluations.h5") return true;
  const std::size_t of = name.find("-of-");
  return name.starts_with("shard-") && name.ends_with(".h5") && of != std::string::npos && is_number(name.substr(6, of - 6)) &&
         is_number(name.substr(of + 4, name.size() - of - 7));
}

/// Whether an HDF5 file has a group of ours among its first objects; other programs write HDF5 files too, under any name.
bool holds_moments(const fs::path& path) {
  constexpr std::string_view kSignature = "\x89HDF\r\n\x1a\n", kGroup = "exp_avg_sq";
  std::vector<char> start(std::size_t{1} << 16);
  InputFile file(path);
  std::size_t size = 0;
  while (const std::size_t got = file.read(std::span(start).subspan(size))) size += got;
  const std::string_view text(start.data(), size);
  return text.starts_with(kSignature) && text.find(kGroup) != std::string_view::npos;
}

std::optional<std::vector<ManifestFile>> manifest_of_ours(const fs::path& checkpoint) {
  try {
    std::vector<ManifestFile> files = read_manifest(checkpoint);
    return files.empty() ? std::nullopt : std::optional(std::move(files));
  } catch (const Error&) {
    return std::nullopt;
  }
}

/// The entries of a checkpoint's folder that belong to it, and the first foreign entry, if any. An entry is foreign if the
/// manifest does not name it. Without a manifest it is foreign if it does not look like a checkpoint's file.
struct Contents {
  std::vector<fs::path> own;
  std::optional<fs::path> foreign;
};
Contents contents_of(const fs::path& checkpoint) {
  Contents contents;
  const std::optional<std::vector<ManifestFile>> manifest = manifest_of_ours(checkpoint);
  const auto is_own = [&](const fs::path& entry) {
    const std::string name = entry.filename().string();
    if (!is_checkpoint_file(name) || !fs::is_regular_file(fs::symlink_status(entry))) return false;
    if (manifest) return name == kManifest || std::ranges::find(*manifest, name, &ManifestFile::name) != manifest->end();
    if (name == "metrics.h5" || name == "evaluations.h5") return read_seal(entry).state == Seal::State::whole;
    return name != kManifest && holds_moments(entry);
  };
  for (const fs::path& entry : list_folder(checkpoint))
    if (is_own(entry))
      contents.own.push_back(entry);
    else if (!contents.foreign)
      contents.foreign = entry;
  return contents;
}

bool is_real_folder(const fs::path& path) {
  std::error_code unknown;
  return fs::is_directory(fs::symlink_status(path, unknown));
}

/// Whether a folder holds weights of ours; other programs may use the same names for folders, manifests and metrics.
bool holds_weights(const fs::path& path) {
  return is_real_folder(path) && std::ranges::any_of(contents_of(path).own, [](const fs::path& file) {
           const std::string name = file.filename().string();
           return name == "checkpoint.h5" || name.starts_with("shard-");
         });
}

bool is_checkpoint(const fs::path& path) { return is_step_name(path.filename().string()) && holds_weights(path); }

/// damaged-step-NNNNNN, with suffix -2, -3, ... if there are several.
bool is_set_aside(const fs::path& path) {
  const std::string name = path.filename().string();
  if (!name.starts_with(kDamaged) || !holds_weights(path)) return false;
  const std::string step = name.substr(kDamaged.size());
  return is_step_name(step.substr(0, step.find('-', step.find('-') + 1)));
}

std::int64_t step_of(const fs::path& checkpoint) { return std::stoll(checkpoint.filename().string().substr(5)); }

void rename_folder(const fs::path& from, const fs::path& to) {
  std::error_code error;
  fs::rename(from, to, error);
  if (error) fail(ExitCode::output, fmt::format("cannot rename {} to {}: {}", from.string(), to.string(), error.message()));
}

/// Replaces the checkpoint at `live` by the one at `made`; the old one is then at `made` or in `staging`.
void swap_in(const fs::path& made, const fs::path& live, const fs::path& staging) {
  if (::renameat2(AT_FDCWD, made.c_str(), AT_FDCWD, live.c_str(), RENAME_EXCHANGE) == 0) return;
  // Not every file system can exchange two names. sweep_checkpoints() repairs a kill between the two renames.
  rename_folder(live, staging / kReplaced);
  rename_folder(made, live);
}

/// Removes a folder of an earlier version, unless it holds foreign files.
void sweep_former(const fs::path& entry, const fs::path& checkpoints) {
  const std::string name = entry.filename().string();
  for (const std::string_view prefix : kFormerPrefixes) {
    if (!name.starts_with(prefix) || !is_step_name(name.substr(prefix.size())) || !is_real_folder(entry)) continue;
    const fs::path live = checkpoints / name.substr(prefix.size());
    // After a kill between two renames, the folder to be replaced is still the checkpoint of that step.
    if (::rmdir(entry.c_str()) == 0 || !holds_weights(entry) || contents_of(entry).foreign) return;
    if (prefix == ".replaced-" && !fs::exists(live)) return rename_folder(entry, live);
    return remove_checkpoint(entry);
  }
}

}  // namespace

bool is_step_name(const std::string& name) {
  constexpr std::size_t kDigits = 18;  // always fit a 64-bit number
  return name.starts_with("step-") && name.size() > 5 && name.size() <= 5 + kDigits &&
         std::all_of(name.begin() + 5, name.end(), [](unsigned char c) { return std::isdigit(c) != 0; });
}

std::string step_name(std::int64_t step) { return fmt::format("step-{:06}", step); }
std::string shard_name(std::int64_t rank, std::int64_t world) { return fmt::format("shard-{:05}-of-{:05}.h5", rank, world); }

ManifestFile describe_file(const fs::path& path) { return {path.filename().string(), fs::file_size(path), sha256_file(path)}; }

bool is_bound(const fs::path& checkpoint) { return std::ranges::all_of(read_manifest(checkpoint), &ManifestFile::has_sha256); }

std::string checksum_now(const fs::path& folder, const ManifestFile& file) {
  const fs::path path = folder / file.name;
  return file.has_sha256() ? sha256_file(path) : fmt::format("{:08x}", crc32c_file(path));
}

std::vector<ManifestFile> read_manifest(const fs::path& folder) {
  const fs::path path = folder / kManifest;
  const JsonObject manifest(parse_json_file(path, kManifestLimit), path.string());
  const bool of_crc = manifest.integer("format_version", kManifestVersionOfCrc, kManifestVersion) == kManifestVersionOfCrc;
  const char* const key = of_crc ? "crc32c" : "sha256";
  const std::size_t digits = of_crc ? 8 : 64;
  const nlohmann::json& list = manifest.at("files");
  if (!list.is_array()) fail(ExitCode::bad_input, fmt::format("{}: key 'files': expected a list", path.string()));
  std::vector<ManifestFile> files;
  std::set<std::string> names;
  for (const nlohmann::json& entry : list) {
    const JsonObject file(entry, path.string());
    const std::string name = file.string("name"), checksum = file.string(key);
    if (name.find('/') != std::string::npos || name == "..")
      fail(ExitCode::bad_input, fmt::format("{}: file name '{}' leads out of the checkpoint", path.string(), excerpt(name)));
    // A file listed twice would be read twice.
    if (!names.insert(name).second)
      fail(ExitCode::bad_input, fmt::format("{}: file '{}' is listed twice; expected it once", path.string(), excerpt(name)));
    if (checksum.size() != digits || checksum.find_first_not_of("0123456789abcdef") != std::string::npos)
      file.wrong(key, fmt::format("{} hexadecimal digits", digits));
    files.push_back({name, static_cast<std::uint64_t>(file.integer("bytes", 0)), checksum});
  }
  return files;
}

template <typename A>
ManifestFile write_shards(const fs::path& path, const StateShards<A>& state, const std::function<bool()>& give_up) {
  constexpr std::size_t kPiece = std::size_t{32} << 20;  // bytes between calls of `give_up`
  std::map<std::uint64_t, std::span<const std::byte>> places;
  Hdf5File file = Hdf5File::create(path, DirectFile::kBlock);
  for (const auto& [group, shards] : checkpoint_groups(state))
    for (std::size_t u = 0; u < state.units.size(); ++u)
      places[file.allocate_dataset<A>("/" + group + "/" + state.units[u].name(), (*shards)[u].size())] =
          std::as_bytes((*shards)[u]);
  file.close();

  // Hash the memory instead of the written file, so that an error on the way to the disk is detected.
  DirectFile direct(path);
  ManifestFile result{path.filename().string(), direct.size(), {}};
  Sha256 hash;
  std::uint64_t at = 0;
  const auto library_wrote_until = [&](std::uint64_t end) {
    std::vector<std::byte> bytes(end - at);
    direct.read(at, bytes);
    hash.update(bytes);
    at = end;
  };
  for (auto& [offset, bytes] : places) {
    library_wrote_until(offset);
    while (!bytes.empty()) {
      if (give_up()) return result;
      const std::span<const std::byte> piece = bytes.first(std::min(bytes.size(), kPiece));
      direct.write(at, piece);
      hash.update(piece);
      at += piece.size();
      bytes = bytes.subspan(piece.size());
    }
  }
  library_wrote_until(result.bytes);
  direct.sync();
  result.checksum = hash.hex();
  return result;
}

template <typename A>
void complete_checkpoint(const fs::path& folder, const CheckpointInfo& info, const StateShards<A>& state,
                         std::vector<ManifestFile> shards, const std::vector<fs::path>& logs) {
  write_index(folder / "checkpoint.h5", info, state);
  shards.push_back(describe_file(folder / "checkpoint.h5"));
  for (const fs::path& log : logs) {
    const fs::path copy = folder / log.filename();
    write_file_atomically(copy, read_file(log, kLogLimit));
    shards.push_back(describe_file(copy));
  }
  write_manifest(folder, info.step, shards);
}

void publish_checkpoint(const Staging& staging, const fs::path& live, std::int64_t keep, std::int64_t preferred) {
  const fs::path made = staging.folder() / live.filename(), checkpoints = live.parent_path();
  const std::int64_t step = step_of(live);
  sync_to_disk(made);
  if (!fs::exists(fs::symlink_status(live))) {
    rename_folder(made, live);
  } else {
    const auto foreign = foreign_in_checkpoint(live);
    if (foreign)
      fail(ExitCode::output,
           fmt::format("{}: it is in the place of this checkpoint but not part of one; move it", foreign->string()));
    swap_in(made, live, staging.folder());
  }
  sync_to_disk(checkpoints);
  if (keep == 0) return;  // listing would read every manifest
  std::vector<fs::path> all = list_checkpoints(checkpoints);
  // Later steps come from before the run went back to an earlier checkpoint.
  std::ranges::stable_partition(all, [&](const fs::path& each) { return step_of(each) <= step; });
  for (auto i = static_cast<std::size_t>(keep); i < all.size(); ++i)
    if (all[i].filename() != step_name(preferred)) remove_checkpoint(all[i]);
}

void set_aside(const fs::path& checkpoint) {
  const fs::path aside = free_name(checkpoint.parent_path() / (std::string(kDamaged) + checkpoint.filename().string()));
  rename_folder(checkpoint, aside);
  log_info(
      fmt::format("{} is kept as {}; remove it when you no longer need it", checkpoint.string(), aside.filename().string()));
}

void remove_checkpoint(const fs::path& checkpoint) {
  if (!is_real_folder(checkpoint)) return;
  const Contents contents = contents_of(checkpoint);
  if (!contents.foreign) {
    // Rename first: a kill then leaves no partial checkpoint under a good name, and the next start removes the rest.
    const Staging away(checkpoint.parent_path(), checkpoint.filename().string());
    return rename_folder(checkpoint, away.folder() / checkpoint.filename());
  }
  log_warning(
      fmt::format("{}: expunge did not write it, so it is kept while the checkpoint is removed", contents.foreign->string()));
  std::error_code ignored;
  fs::remove(checkpoint / kManifest, ignored);
  for (const fs::path& file : contents.own) fs::remove(file, ignored);
}

void remove_checkpoints_between(const fs::path& checkpoints, std::int64_t first, std::int64_t last) {
  for (const fs::path& checkpoint : list_checkpoints(checkpoints))
    if (step_of(checkpoint) > first && step_of(checkpoint) <= last) remove_checkpoint(checkpoint);
}

std::optional<fs::path> foreign_in_checkpoint(const fs::path& checkpoint) {
  return is_real_folder(checkpoint) ? contents_of(checkpoint).foreign : checkpoint;
}

std::optional<fs::path> foreign_in_checkpoints(const fs::path& checkpoints) {
  for (const fs::path& checkpoint : list_checkpoints(checkpoints))
    if (auto foreign = contents_of(checkpoint).foreign) return foreign;
  return std::nullopt;
}

void remove_checkpoints(const fs::path& checkpoints) {
  if (!is_real_folder(checkpoints)) return;
  sweep_checkpoints(checkpoints);
  for (const fs::path& entry : list_folder(checkpoints)) {
    if (is_set_aside(entry) || is_checkpoint(entry)) remove_checkpoint(entry);
  }
  ::rmdir(checkpoints.c_str());
}

std::vector<fs::path> list_checkpoints(const fs::path& checkpoints) {
  std::vector<fs::path> found;
  if (!fs::is_directory(checkpoints)) return found;
  for (const fs::path& entry : list_folder(checkpoints))
    if (is_checkpoint(entry)) found.push_back(entry);
  std::ranges::sort(found, std::greater(), step_of);
  return found;
}

void sweep_checkpoints(const fs::path& checkpoints) {
  if (!fs::is_directory(checkpoints)) return;
  for (const fs::path& entry : list_folder(checkpoints)) sweep_former(entry, checkpoints);
  remove_stale_staging(checkpoints, {}, [&](const fs::path& staging) {
    for (const fs::path& made : list_folder(staging))
      if (const fs::path live = checkpoints / made.filename();
          is_step_name(made.filename().string()) && !fs::exists(live) && is_real_folder(staging / kReplaced))
        rename_folder(staging / kReplaced, live);
  });
}

#define EXPUNGE_CHECKPOINT_FILES(A)                                                                                           \
  template ManifestFile write_shards(const fs::path&, const StateShards<A>&, const std::function<bool()>&);                   \
  template void complete_checkpoint(const fs::path&, const CheckpointInfo&, const StateShards<A>&, std::vector<ManifestFile>, \
                                    const std::vector<fs::path>&);
EXPUNGE_CHECKPOINT_FILES(float)
EXPUNGE_CHECKPOINT_FILES(double)
#undef EXPUNGE_CHECKPOINT_FILES

}  // namespace expunge
