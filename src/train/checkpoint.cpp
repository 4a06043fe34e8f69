// Writing, verifying and reading checkpoints.
#include "expunge/train/checkpoint.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <type_traits>

#include "expunge/core/dtype.h"
#include "expunge/core/error.h"
#include "expunge/core/log.h"
#include "expunge/io/files.h"
#include "expunge/io/hash.h"
#include "expunge/io/hdf5.h"
#include "expunge/io/json.h"

namespace expunge {
namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t kManifestLimit = std::uint64_t{64} << 20;
const std::string kWriting = ".writing-", kRemoved = ".removed-";

std::string step_name(std::int64_t step) { return fmt::format("step-{:06}", step); }
std::string shard_name(std::int64_t rank, std::int64_t world) { return fmt::format("shard-{:05}-of-{:05}.h5", rank, world); }

bool is_step_name(const std::string& name) {
  return name.starts_with("step-") && name.size() > 5 &&
         std::all_of(name.begin() + 5, name.end(), [](unsigned char c) { return std::isdigit(c) != 0; });
}

/// The three groups of a checkpoint and the shards that fill them.
template <typename A>
auto groups(const StateShards<A>& state) {
  return std::vector<std::pair<std::string, const std::vector<std::span<A>>*>>{
      {"parameters", &state.parameters}, {"exp_avg", &state.exp_avg}, {"exp_avg_sq", &state.exp_avg_sq}};
}

template <typename A>
void write_shards(const fs::path& path, const StateShards<A>& state) {
  Hdf5File file = Hdf5File::create(path);
  for (const auto& [group, shards] : groups(state)) {
    for (std::size_t u = 0; u < state.units.size(); ++u) {
      const std::string dataset = "/" + group + "/" + state.units[u].name();
      const std::span<A> shard = (*shards)[u];
      file.create_dataset<A>(dataset, {shard.size()});
      file.write<A>(dataset, 0, shard);
    }
  }
  file.close();
  sync_to_disk(path);
}

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
  visit("model_sha256", info.model_sha256);
  visit("tokens_sha256", info.tokens_sha256);
  visit("config", info.config);
  visit("version", info.version);
  visit("libraries", info.libraries);
  visit("host", info.host);
  visit("written", info.written);
}

template <typename A>
void write_index(const fs::path& path, const CheckpointInfo& info, const StateShards<A>& state) {
  Hdf5File file = Hdf5File::create(path);
  for_each_attribute(info, [&](const char* name, const auto& value) { file.write_attribute("/", name, value); });
  for (const auto& [group, shards] : groups(state)) {
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

struct ManifestFile {
  std::string name;
  std::uint64_t bytes;
  std::uint32_t crc;
};

ManifestFile describe(const fs::path& path) { return {path.filename().string(), fs::file_size(path), crc32c_file(path)}; }

void write_manifest(const fs::path& folder, std::int64_t step, const std::vector<ManifestFile>& files) {
  nlohmann::ordered_json manifest = {{"format_version", 1}, {"step", step}, {"files", nlohmann::ordered_json::array()}};
  for (const ManifestFile& file : files)
    manifest["files"].push_back({{"name", file.name}, {"bytes", file.bytes}, {"crc32c", fmt::format("{:08x}", file.crc)}});
  write_file_atomically(folder / "manifest.json", manifest.dump(1) + "\n");
}

std::vector<ManifestFile> read_manifest(const fs::path& folder) {
  const fs::path path = folder / "manifest.json";
  const JsonObject manifest(parse_json_file(path, kManifestLimit), path.string());
  const nlohmann::json& list = manifest.at("files");
  if (!list.is_array()) fail(ExitCode::bad_input, fmt::format("{}: key 'files': expected a list", path.string()));
  std::vector<ManifestFile> files;
  for (const nlohmann::json& entry : list) {
    const JsonObject file(entry, path.string());
    const std::string name = file.string("name"), crc = file.string("crc32c");
    if (name.find('/') != std::string::npos || name == "..")
      fail(ExitCode::bad_input, fmt::format("{}: file name '{}' leads out of the checkpoint", path.string(), name));
    if (crc.size() != 8 || crc.find_first_not_of("0123456789abcdef") != std::string::npos)
      fail(ExitCode::bad_input, fmt::format("{}: key 'crc32c': expected 8 hexadecimal digits, found '{}'", path.string(), crc));
    files.push_back(
        {name, static_cast<std::uint64_t>(file.integer("bytes", 0)), static_cast<std::uint32_t>(std::stoul(crc, nullptr, 16))});
  }
  return files;
}

/// Empty when this rank's part of the files is as the manifest says, else what is wrong.
std::string find_damage(const Runtime& runtime, const fs::path& folder) {
  try {
    const std::vector<ManifestFile> files = read_manifest(folder);
    for (std::size_t i = static_cast<std::size_t>(runtime.comm.rank()); i < files.size();
         i += static_cast<std::size_t>(runtime.comm.size())) {
      const fs::path path = folder / files[i].name;
      std::error_code missing;
      const std::uint64_t bytes = fs::file_size(path, missing);
      if (missing) return fmt::format("{} is missing", files[i].name);
      if (bytes != files[i].bytes)
        return fmt::format("{} has {} bytes, the manifest says {}", files[i].name, bytes, files[i].bytes);
      if (crc32c_file(path) != files[i].crc) return fmt::format("{} does not match its CRC-32C", files[i].name);
    }
  } catch (const Error& error) {
    return error.what();
  }
  return {};
}

/// The damage that any rank found, on every rank.
std::string agree_on_damage(const Runtime& runtime, const fs::path& folder) {
  return first_text(runtime, find_damage(runtime, folder));
}

void remove_checkpoint(const fs::path& checkpoint) {
  // Renamed first: a kill between the two leaves no half checkpoint under a good name.
  const fs::path away = checkpoint.parent_path() / (kRemoved + checkpoint.filename().string());
  fs::rename(checkpoint, away);
  fs::remove_all(away);
}

/// Makes the written folder live.
void publish(const fs::path& writing, const fs::path& live) {
  sync_to_disk(writing);
  std::error_code error;
  if (fs::exists(live)) remove_checkpoint(live);
  fs::rename(writing, live, error);
  if (error)
    fail(ExitCode::output, fmt::format("{}: cannot rename the finished checkpoint: {}", live.string(), error.message()));
  sync_to_disk(live.parent_path());
}

void make_folder(const fs::path& folder) {
  std::error_code error;
  fs::remove_all(folder, error);
  fs::create_directories(folder, error);
  if (error) fail(ExitCode::output, fmt::format("{}: cannot make the folder: {}", folder.string(), error.message()));
}

}  // namespace

template <typename A>
void write_checkpoint(const Runtime& runtime, const fs::path& checkpoints, const CheckpointInfo& info,
                      const StateShards<A>& state, std::int64_t keep) {
  const fs::path live = checkpoints / step_name(info.step), writing = checkpoints / (kWriting + step_name(info.step));
  const int rank = runtime.comm.rank();
  on_root(runtime, [&] {
    make_folder(writing);
    return std::string();
  });
  const auto world = static_cast<std::size_t>(runtime.comm.size());
  std::vector<double> sizes(2 * world);
  const fs::path shard = writing / shard_name(rank, info.world_size);
  const auto give_up = [&](const std::string& reason) {
    std::error_code ignored;
    fs::remove_all(writing, ignored);  // gives back the space
    fail(ExitCode::output, fmt::format("checkpoint of step {} was not written: {}; earlier checkpoints are whole: make space "
                                       "and start again to resume from the newest",
                                       info.step, reason));
  };
  std::string failure;
  try {
    write_shards(shard, state);
    const ManifestFile mine = describe(shard);
    sizes[static_cast<std::size_t>(rank)] = static_cast<double>(mine.bytes);
    sizes[world + static_cast<std::size_t>(rank)] = mine.crc;
  } catch (const Error& error) {
    failure = fmt::format("rank {}: {}", rank, error.what());
  }
  failure = first_text(runtime, failure);
  all_reduce(runtime, sizes, Reduce::sum);
  on_root(runtime, [&] {
    if (!failure.empty()) give_up(failure);
    std::vector<ManifestFile> files;
    for (std::size_t r = 0; r < world; ++r)
      files.push_back({shard_name(static_cast<std::int64_t>(r), info.world_size), static_cast<std::uint64_t>(sizes[r]),
                       static_cast<std::uint32_t>(sizes[world + r])});
    try {
      write_index(writing / "checkpoint.h5", info, state);
      files.push_back(describe(writing / "checkpoint.h5"));
      write_manifest(writing, info.step, files);
    } catch (const Error& error) {
      give_up(error.what());
    }
    publish(writing, live);
    const std::vector<fs::path> all = list_checkpoints(checkpoints);
    if (keep > 0)
      for (auto i = static_cast<std::size_t>(keep); i < all.size(); ++i) remove_checkpoint(all[i]);
    return std::string();
  });
}

std::vector<fs::path> list_checkpoints(const fs::path& checkpoints) {
  std::vector<fs::path> found;
  if (!fs::is_directory(checkpoints)) return found;
  for (const fs::path& entry : list_folder(checkpoints))
    if (is_step_name(entry.filename().string())) found.push_back(entry);
  const auto number = [](const fs::path& path) { return std::stoll(path.filename().string().substr(5)); };
  std::sort(found.begin(), found.end(), [&](const fs::path& a, const fs::path& b) { return number(a) > number(b); });
  return found;
}

void sweep_checkpoints(const fs::path& checkpoints) {
  if (!fs::is_directory(checkpoints)) return;
  for (const fs::path& entry : list_folder(checkpoints)) {
    const std::string name = entry.filename().string();
    if (name.starts_with(kWriting) || name.starts_with(kRemoved)) fs::remove_all(entry);
  }
}

std::optional<fs::path> newest_good_checkpoint(const Runtime& runtime, const fs::path& checkpoints) {
  const std::string names = on_root(runtime, [&] {
    std::string lines;
    for (const fs::path& path : list_checkpoints(checkpoints)) lines += path.filename().string() + "\n";
    return lines;
  });
  for (std::size_t begin = 0, end = 0; (end = names.find('\n', begin)) != std::string::npos; begin = end + 1) {
    const fs::path candidate = checkpoints / names.substr(begin, end - begin);
    const std::string damage = agree_on_damage(runtime, candidate);
    if (damage.empty()) return candidate;
    if (runtime.comm.rank() == 0) log_warning(fmt::format("{} is passed over: {}", candidate.string(), damage));
  }
  return std::nullopt;
}

void verify_checkpoint(const Runtime& runtime, const fs::path& checkpoint) {
  const std::string damage = agree_on_damage(runtime, checkpoint);
  if (!damage.empty()) fail(ExitCode::bad_input, fmt::format("{}: damaged checkpoint: {}", checkpoint.string(), damage));
}

CheckpointReader::CheckpointReader(const fs::path& checkpoint) : file_(Hdf5File::open(checkpoint / "checkpoint.h5")) {
  for_each_attribute(info_, [&]<typename V>(const char* name, V& value) { value = file_.read_attribute<V>("/", name); });
}

template <typename A>
void CheckpointReader::read(const std::string& group, const ParameterView& view, std::size_t first, std::span<A> values) const {
  const std::string dataset = "/" + group + "/" + view.name;
  if (file_.shape(dataset) != std::vector<std::uint64_t>(view.shape.begin(), view.shape.end()))
    fail(ExitCode::bad_input,
         fmt::format("{}: {}: shape differs from what the model's config.json implies", file_.path().string(), dataset));
  using Other = std::conditional_t<std::is_same_v<A, float>, double, float>;
  const bool stored_as_double = info_.dtype == dtype_name(DType::float64);
  if (stored_as_double == std::is_same_v<A, double>) return file_.read<A>(dataset, first, values);
  std::vector<Other> stored(values.size());
  file_.read<Other>(dataset, first, stored);
  std::transform(stored.begin(), stored.end(), values.begin(), [](Other x) { return static_cast<A>(x); });
}

template <typename A>
void read_state(const CheckpointReader& reader, int rank, const StateShards<A>& state) {
  for (const auto& [group, shards] : groups(state))
    for (std::size_t u = 0; u < state.units.size(); ++u)
      for (const ParameterSlice& slice : state.units[u].slices(rank))
        reader.read(group, *slice.view, slice.first, (*shards)[u].subspan(slice.offset, slice.count));
}

template void write_checkpoint(const Runtime&, const fs::path&, const CheckpointInfo&, const StateShards<float>&, std::int64_t);
template void write_checkpoint(const Runtime&, const fs::path&, const CheckpointInfo&, const StateShards<double>&,
                               std::int64_t);
template void CheckpointReader::read(const std::string&, const ParameterView&, std::size_t, std::span<float>) const;
template void CheckpointReader::read(const std::string&, const ParameterView&, std::size_t, std::span<double>) const;
template void read_state(const CheckpointReader&, int, const StateShards<float>&);
template void read_state(const CheckpointReader&, int, const StateShards<double>&);

}  // namespace expunge
