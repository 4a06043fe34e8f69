// Writing the files of a checkpoint, and making them live.
#include "train/checkpoint_files.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <functional>
#include <map>
#include <set>

#include "expunge/core/error.h"
#include "expunge/core/log.h"
#include "expunge/core/text.h"
#include "expunge/io/files.h"
#include "expunge/io/hash.h"
#include "expunge/io/hdf5.h"
#include "expunge/io/json.h"
#include "io/direct_file.h"

namespace expunge {
namespace {

namespace fs = std::filesystem;

constexpr int kManifestVersion = 1;
constexpr std::uint64_t kManifestLimit = std::uint64_t{64} << 20, kLogLimit = std::uint64_t{1} << 30;
// Prefixes of folders that are no checkpoints: in the making; on the way out; and a checkpoint whose place another one of the
// same step is taking.
const std::string kWriting = ".writing-", kRemoved = ".removed-", kReplaced = ".replaced-";
const std::string kDamaged = "damaged-";

bool is_step_name(const std::string& name) {
  constexpr std::size_t kDigits = 18;  // that a 64-bit number holds in any case
  return name.starts_with("step-") && name.size() > 5 && name.size() <= 5 + kDigits &&
         std::all_of(name.begin() + 5, name.end(), [](unsigned char c) { return std::isdigit(c) != 0; });
}

template <typename A>
void write_index(const fs::path& path, const CheckpointInfo& info, const StateShards<A>& state) {
  Hdf5File file = Hdf5File::create(path);
  for_each_attribute(info, [&](const char* name, const auto& value) { file.write_attribute("/", name, value); });
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
    manifest["files"].push_back({{"name", file.name}, {"bytes", file.bytes}, {"crc32c", fmt::format("{:08x}", file.crc)}});
  write_file_atomically(folder / "manifest.json", manifest.dump(1) + "\n");
}

std::int64_t step_of(const fs::path& checkpoint) { return std::stoll(checkpoint.filename().string().substr(5)); }

void rename_folder(const fs::path& from, const fs::path& to) {
  std::error_code error;
  fs::rename(from, to, error);
  if (error) fail(ExitCode::output, fmt::format("cannot rename {} to {}: {}", from.string(), to.string(), error.message()));
}

void remove_folder(const fs::path& checkpoint) {
  // Renamed first: a kill between the two leaves no half checkpoint under a good name.
  const fs::path away = checkpoint.parent_path() / (kRemoved + checkpoint.filename().string());
  std::error_code ignored;
  fs::remove_all(away, ignored);
  rename_folder(checkpoint, away);
  fs::remove_all(away, ignored);  // what cannot be removed now is swept at the next start
}

}  // namespace

std::string step_name(std::int64_t step) { return fmt::format("step-{:06}", step); }
std::string shard_name(std::int64_t rank, std::int64_t world) { return fmt::format("shard-{:05}-of-{:05}.h5", rank, world); }
fs::path writing_folder(const fs::path& checkpoints, std::int64_t step) { return checkpoints / (kWriting + step_name(step)); }

ManifestFile describe_file(const fs::path& path) { return {path.filename().string(), fs::file_size(path), crc32c_file(path)}; }

std::vector<ManifestFile> read_manifest(const fs::path& folder) {
  const fs::path path = folder / "manifest.json";
  const JsonObject manifest(parse_json_file(path, kManifestLimit), path.string());
  (void)manifest.integer("format_version", kManifestVersion, kManifestVersion);
  const nlohmann::json& list = manifest.at("files");
  if (!list.is_array()) fail(ExitCode::bad_input, fmt::format("{}: key 'files': expected a list", path.string()));
  std::vector<ManifestFile> files;
  std::set<std::string> names;
  for (const nlohmann::json& entry : list) {
    const JsonObject file(entry, path.string());
    const std::string name = file.string("name"), crc = file.string("crc32c");
    if (name.find('/') != std::string::npos || name == "..")
      fail(ExitCode::bad_input, fmt::format("{}: file name '{}' leads out of the checkpoint", path.string(), excerpt(name)));
    // Each file is read as often as it is listed.
    if (!names.insert(name).second)
      fail(ExitCode::bad_input, fmt::format("{}: file '{}' is listed twice; expected it once", path.string(), excerpt(name)));
    if (crc.size() != 8 || crc.find_first_not_of("0123456789abcdef") != std::string::npos)
      file.wrong("crc32c", "8 hexadecimal digits");
    files.push_back(
        {name, static_cast<std::uint64_t>(file.integer("bytes", 0)), static_cast<std::uint32_t>(std::stoul(crc, nullptr, 16))});
  }
  return files;
}

void make_folder(const fs::path& folder) {
  std::error_code error;
  fs::remove_all(folder, error);
  fs::create_directories(folder, error);
  if (error) fail(ExitCode::output, fmt::format("{}: cannot make the folder: {}", folder.string(), error.message()));
}

template <typename A>
ManifestFile write_shards(const fs::path& path, const StateShards<A>& state, const std::function<bool()>& give_up) {
  constexpr std::size_t kPiece = std::size_t{32} << 20;  // bytes between looks at `give_up`
  std::map<std::uint64_t, std::span<const std::byte>> places;
  Hdf5File file = Hdf5File::create(path, DirectFile::kBlock);
  for (const auto& [group, shards] : checkpoint_groups(state))
    for (std::size_t u = 0; u < state.units.size(); ++u)
      places[file.allocate_dataset<A>("/" + group + "/" + state.units[u].name(), (*shards)[u].size())] =
          std::as_bytes((*shards)[u]);
  file.close();

  // The checksum is of the memory, not of what can be read back: what goes wrong on the way to the disk does not pass for
  // right.
  DirectFile direct(path);
  ManifestFile result{path.filename().string(), direct.size(), 0};
  std::uint64_t at = 0;
  const auto library_wrote_until = [&](std::uint64_t end) {
    std::vector<std::byte> bytes(end - at);
    direct.read(at, bytes);
    result.crc = crc32c(bytes, result.crc);
    at = end;
  };
  for (auto& [offset, bytes] : places) {
    library_wrote_until(offset);
    while (!bytes.empty()) {
      if (give_up()) return result;
      const std::span<const std::byte> piece = bytes.first(std::min(bytes.size(), kPiece));
      direct.write(at, piece);
      result.crc = crc32c(piece, result.crc);
      at += piece.size();
      bytes = bytes.subspan(piece.size());
    }
  }
  library_wrote_until(result.bytes);
  direct.sync();
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

void publish_checkpoint(const fs::path& checkpoints, std::int64_t step, std::int64_t keep, std::int64_t preferred) {
  const fs::path live = checkpoints / step_name(step), writing = writing_folder(checkpoints, step);
  const fs::path replaced = checkpoints / (kReplaced + step_name(step));
  sync_to_disk(writing);
  if (fs::exists(live)) rename_folder(live, replaced);
  rename_folder(writing, live);
  sync_to_disk(checkpoints);
  std::error_code ignored;
  fs::remove_all(replaced, ignored);
  std::vector<fs::path> all = list_checkpoints(checkpoints);
  // Later steps are of a start before the run went back to an earlier checkpoint.
  std::ranges::stable_partition(all, [&](const fs::path& each) { return step_of(each) <= step; });
  if (keep > 0)
    for (auto i = static_cast<std::size_t>(keep); i < all.size(); ++i)
      if (all[i].filename() != step_name(preferred)) remove_folder(all[i]);
}

void set_aside(const fs::path& checkpoint) {
  const fs::path aside = checkpoint.parent_path() / (kDamaged + checkpoint.filename().string());
  std::error_code ignored;
  fs::remove_all(aside, ignored);
  rename_folder(checkpoint, aside);
  log_info(fmt::format("{} is kept as {}; remove it when it is of no use", checkpoint.string(), aside.filename().string()));
}

void remove_checkpoint(const fs::path& checkpoints, std::int64_t step) {
  if (const fs::path checkpoint = checkpoints / step_name(step); fs::exists(checkpoint)) remove_folder(checkpoint);
}

std::vector<fs::path> list_checkpoints(const fs::path& checkpoints) {
  std::vector<fs::path> found;
  if (!fs::is_directory(checkpoints)) return found;
  for (const fs::path& entry : list_folder(checkpoints))
    if (is_step_name(entry.filename().string())) found.push_back(entry);
  std::ranges::sort(found, std::greater(), step_of);
  return found;
}

void sweep_checkpoints(const fs::path& checkpoints) {
  if (!fs::is_directory(checkpoints)) return;
  for (const fs::path& entry : list_folder(checkpoints)) {
    const std::string name = entry.filename().string();
    // Killed between the two renames: what was to be replaced is still the checkpoint of that step.
    if (name.starts_with(kReplaced) && !fs::exists(checkpoints / name.substr(kReplaced.size())))
      rename_folder(entry, checkpoints / name.substr(kReplaced.size()));
    else if (name.starts_with(kWriting) || name.starts_with(kRemoved) || name.starts_with(kReplaced))
      fs::remove_all(entry);
  }
}

#define EXPUNGE_CHECKPOINT_FILES(A)                                                                                           \
  template ManifestFile write_shards(const fs::path&, const StateShards<A>&, const std::function<bool()>&);                   \
  template void complete_checkpoint(const fs::path&, const CheckpointInfo&, const StateShards<A>&, std::vector<ManifestFile>, \
                                    const std::vector<fs::path>&);
EXPUNGE_CHECKPOINT_FILES(float)
EXPUNGE_CHECKPOINT_FILES(double)
#undef EXPUNGE_CHECKPOINT_FILES

}  // namespace expunge
