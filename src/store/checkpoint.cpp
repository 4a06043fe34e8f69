// Verifies and reads checkpoints.
#include "store/checkpoint.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <set>
#include <type_traits>

#include "core/log.h"
#include "expunge/dtype.h"
#include "expunge/error.h"
#include "io/files.h"
#include "io/hash.h"
#include "store/checkpoint_files.h"

namespace expunge {
namespace {

namespace fs = std::filesystem;

/// Fault in a file's existence or size; empty if there is none.
std::string wrong_size(const fs::path& folder, const ManifestFile& file) {
  std::error_code missing;
  const std::uint64_t bytes = fs::file_size(folder / file.name, missing);
  if (missing) return fmt::format("{} is missing", file.name);
  if (bytes != file.bytes) return fmt::format("{} has {} bytes, the manifest says {}", file.name, bytes, file.bytes);
  return {};
}

/// Describes a part of a complete checkpoint that the manifest lacks; empty if there is none.
std::string unnamed_part(const std::vector<ManifestFile>& files) {
  std::set<std::string> names;
  for (const ManifestFile& file : files) names.insert(file.name);
  const auto shards = std::ranges::count_if(names, [](const std::string& name) { return name.starts_with("shard-"); });
  std::vector<std::string> needed{"checkpoint.h5"};
  for (std::int64_t rank = 0; rank < std::max<std::int64_t>(shards, 1); ++rank)
    needed.push_back(shard_name(rank, std::max<std::int64_t>(shards, 1)));
  for (const std::string& name : needed)
    if (!names.contains(name)) return fmt::format("{} does not name {}", kManifest, name);
  return {};
}

/// Damage of this rank's part of the files compared with the manifest; empty if there is none.
std::string find_damage(const Runtime& runtime, const fs::path& folder) {
  try {
    const std::vector<ManifestFile> files = read_manifest(folder);
    if (std::string unnamed = unnamed_part(files); !unnamed.empty()) return unnamed;
    for (std::size_t i = static_cast<std::size_t>(runtime.comm.rank()); i < files.size();
         i += static_cast<std::size_t>(runtime.comm.size())) {
      if (std::string wrong = wrong_size(folder, files[i]); !wrong.empty()) return wrong;
      if (checksum_now(folder, files[i]) != files[i].checksum)
        return fmt::format("{} does not match its {}", files[i].name, files[i].has_sha256() ? "SHA-256" : "CRC-32C");
    }
  } catch (const Error& error) {
    return error.what();
  }
  return {};
}

}  // namespace

std::string visible_damage(const fs::path& checkpoint) {
  try {
    const std::vector<ManifestFile> files = read_manifest(checkpoint);
    for (const ManifestFile& file : files)
      if (std::string wrong = wrong_size(checkpoint, file); !wrong.empty()) return wrong;
    return unnamed_part(files);
  } catch (const Error& error) {
    return error.what();
  }
  return {};
}

bool index_is_whole(const fs::path& checkpoint) {
  return std::ranges::any_of(read_manifest(checkpoint), [&](const ManifestFile& file) {
    return file.name == "checkpoint.h5" && checksum_now(checkpoint, file) == file.checksum;
  });
}

std::string damage_of(const Runtime& runtime, const fs::path& checkpoint) {
  return first_text(runtime, find_damage(runtime, checkpoint));
}

std::optional<fs::path> newest_good_checkpoint(const Runtime& runtime, const fs::path& checkpoints) {
  const std::string names = on_root(runtime, [&] {
    std::string lines;
    for (const fs::path& path : list_checkpoints(checkpoints)) {
      lines += path.filename().string() + "\n";
      // A checkpoint that another user keeps private is not damaged.
      const fs::path manifest = path / kManifest;
      if (::access(manifest.c_str(), R_OK) != 0 && errno == EACCES)
        fail(ExitCode::bad_input, fmt::format("{}: cannot be read: {}", manifest.string(), system_reason(errno)));
    }
    return lines;
  });
  for (std::size_t begin = 0, end = 0; (end = names.find('\n', begin)) != std::string::npos; begin = end + 1) {
    const fs::path candidate = checkpoints / names.substr(begin, end - begin);
    const std::string damage = damage_of(runtime, candidate);
    if (damage.empty()) return candidate;
    if (runtime.comm.rank() == 0) log_warning(fmt::format("skipped {}: {}", candidate.string(), damage));
  }
  return std::nullopt;
}

void verify_checkpoint(const Runtime& runtime, const fs::path& checkpoint) {
  const std::string damage = damage_of(runtime, checkpoint);
  if (!damage.empty()) fail(ExitCode::bad_input, fmt::format("{}: damaged checkpoint: {}", checkpoint.string(), damage));
}

CheckpointReader::CheckpointReader(const fs::path& checkpoint) : file_(Hdf5File::open_index(checkpoint / "checkpoint.h5")) {
  for_each_attribute(info_, [&]<typename V>(const char* name, V& value) {
    if (!file_.has_attribute("/", name) && file_.has_attribute("/", "version"))
      fail(ExitCode::bad_input,
           fmt::format("{}: written by another build of expunge ({}), without the attribute '{}' that this one ({}) needs; "
                       "resume or export it with the build that wrote it, or start the run afresh",
                       file_.path().string(), file_.read_attribute<std::string>("/", "version"), name, EXPUNGE_VERSION));
    value = file_.read_attribute<V>("/", name);
  });
  for_each_later_attribute(info_, [&]<typename V>(const char* name, V& value) {
    if (file_.has_attribute("/", name)) value = file_.read_attribute<V>("/", name);
  });
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
void read_state(const CheckpointReader& reader, int rank, const StateShards<A>& state, Stream& stream) {
  const bool on_host = stream.device().type == DeviceType::cpu;
  std::vector<A> staged;
  for (const auto& [group, shards] : checkpoint_groups(state))
    for (std::size_t u = 0; u < state.units.size(); ++u)
      for (const ParameterSlice& slice : state.units[u].slices(rank)) {
        const std::span<A> place = (*shards)[u].subspan(slice.offset, slice.count);
        if (!on_host) staged.resize(place.size());
        reader.read(group, *slice.view, slice.first, on_host ? place : std::span(staged));
        if (!on_host) copy_to_device(stream, place.data(), staged.data(), place.size_bytes());
      }
}

template void CheckpointReader::read(const std::string&, const ParameterView&, std::size_t, std::span<float>) const;
template void CheckpointReader::read(const std::string&, const ParameterView&, std::size_t, std::span<double>) const;
template void read_state(const CheckpointReader&, int, const StateShards<float>&, Stream&);
template void read_state(const CheckpointReader&, int, const StateShards<double>&, Stream&);

}  // namespace expunge
