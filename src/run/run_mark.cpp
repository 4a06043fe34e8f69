// Reads and writes marks of run folders, and removes a run.
#include "run/run_mark.h"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <random>
#include <vector>

#include "expunge/error.h"
#include "io/file_lock.h"
#include "io/files.h"
#include "io/hash.h"
#include "io/hdf5_seal.h"
#include "io/json.h"
#include "run/config_changes.h"
#include "run/option_tables.h"
#include "run/tensorboard.h"
#include "store/checkpoint.h"
#include "store/checkpoint_files.h"
#include "store/tokenizer_files.h"

namespace expunge {
namespace {

namespace fs = std::filesystem;

constexpr int kMarkVersion = 1;
constexpr std::uint64_t kMarkLimit = std::uint64_t{1} << 20;
constexpr const char* kVersionKey = "expunge_run";

/// True if a run writes a file once at this place. A mark comes from outside, so it must not name any other file.
bool is_place_of_run(const RunFolder& run, const fs::path& place) {
  if (place == run.config().filename() || place == run.labels().filename()) return true;
  const std::string name = place.filename().string();
  return place == run.model().filename() / name && !name.empty() && name != "." && name != "..";
}

/// The mark of a run of an earlier version, from a checkpoint whose recorded options equal its `config`.
std::optional<RunMark> former_mark(const RunFolder& run) {
  std::error_code unknown;
  if (!fs::is_regular_file(fs::symlink_status(run.config(), unknown))) return std::nullopt;
  for (const fs::path& checkpoint : list_checkpoints(run.checkpoints())) try {
      if (!visible_damage(checkpoint).empty() || !index_is_whole(checkpoint)) continue;
      const CheckpointInfo info = CheckpointReader(checkpoint).info();
      if (first_difference(info.config, run.read_config())) continue;
      RunMark mark;
      mark.files[run.config().filename()] = sha256_file(run.config());
      for (const auto& [name, hash] : read_hashes(info.model_files)) mark.files[run.model().filename() / name] = hash;
      if (!info.labels_sha256.empty()) mark.files[run.labels().filename()] = info.labels_sha256;
      const fs::path log = read_run_options(info.config, checkpoint.string()).log.jsonl;
      if (!log.empty()) mark.logs.push_back(log);
      return mark;
    } catch (const Error&) {  // a damaged checkpoint, or one of others
    }
  return std::nullopt;
}

/// True for files that a killed start may leave before its mark.
bool is_of_a_start(const RunFolder& run, const fs::path& entry) {
  return is_staging(entry) || (entry == run.lock() && fs::is_regular_file(fs::symlink_status(entry)) && is_lock_file(entry));
}

bool is_sealed(const fs::path& path) { return read_seal(path).state == Seal::State::whole; }

/// The run's files except those of its checkpoints. Calls `refuse` for a file that has such a name but another content.
std::vector<fs::path> own_files(const RunFolder& run, const RunMark& mark, const auto& refuse) {
  std::vector<fs::path> own;
  const auto take = [&](const fs::path& path, const auto& is_own) {
    const fs::file_status status = fs::symlink_status(path);
    if (!fs::exists(status)) return;
    if (!fs::is_regular_file(status) || !is_own(path))
      refuse(path, "is not the file that expunge wrote there; move it to start again");
    own.push_back(path);
  };
  for (const auto& [name, hash] : mark.files)
    take(run.root / name, [&](const fs::path& path) { return sha256_file(path) == hash; });
  for (const fs::path& path : {run.metrics(), run.evaluations(), run.reference()}) take(path, is_sealed);
  if (!mark.files.contains(run.labels().filename())) take(run.labels(), [](const fs::path&) { return false; });
  if (fs::is_directory(run.tensorboard()))
    for (const fs::path& path : list_folder(run.tensorboard()))
      if (TensorboardFile::is_own(path)) own.push_back(path);
  return own;
}

}  // namespace

std::optional<RunMark> read_mark(const RunFolder& run) {
  std::error_code unknown;
  if (!fs::is_regular_file(fs::symlink_status(run.mark(), unknown))) return std::nullopt;
  try {
    const JsonObject mark(parse_json_file(run.mark(), kMarkLimit), run.mark().string());
    (void)mark.integer(kVersionKey, kMarkVersion, kMarkVersion);
    const JsonObject files(mark.at("files"), mark.where());
    RunMark result;
    for (const auto& [name, unused] : files.value().items())
      if (is_place_of_run(run, name)) result.files[name] = files.string(name);
    mark.at("logs").get_to(result.logs);
    if (mark.value().contains("id")) result.id = mark.string("id");
    return result;
  } catch (const std::exception&) {  // not ours: expunge publishes a whole mark by one rename
    return std::nullopt;
  }
}

void write_mark(const RunFolder& run, const RunMark& mark) {
  nlohmann::ordered_json text = {
      {kVersionKey, kMarkVersion}, {"version", EXPUNGE_VERSION}, {"files", mark.files}, {"logs", mark.logs}};
  if (!mark.id.empty()) text["id"] = mark.id;
  write_file_atomically(run.mark(), text.dump(1) + "\n");
}

std::string new_run_id() {
  std::random_device device;
  return fmt::format("{:08x}{:08x}", device(), device());
}

std::string run_id(const RunFolder& run) { return read_mark(run).value_or(RunMark()).id; }

void mark_file(const RunFolder& run, const std::string& name, const std::string& sha256) {
  RunMark mark = read_mark(run).value_or(RunMark());
  mark.files[name] = sha256;
  write_mark(run, mark);
}

RunContent look_into(const RunFolder& run) {
  std::error_code unknown;
  if (!fs::exists(run.root, unknown)) return {};
  if (!fs::is_directory(run.root)) fail(ExitCode::output, fmt::format("{}: not a folder", run.root.string()));
  std::vector<fs::path> entries = list_folder(run.root);
  std::erase_if(entries, [&](const fs::path& entry) { return is_of_a_start(run, entry); });
  if (entries.empty()) return {};
  if (auto mark = read_mark(run)) return {RunContent::Kind::run, std::move(*mark), {}};
  if (auto mark = former_mark(run)) return {RunContent::Kind::former, std::move(*mark), {}};
  const bool runlike = fs::exists(run.config()) && fs::is_directory(run.checkpoints());
  return {RunContent::Kind::foreign,
          {},
          fmt::format("holds {}, but is no run folder of expunge{}", entries.front().filename().string(),
                      runlike ? ", or is one of an earlier version without a good checkpoint" : "")};
}

void refuse_links(const RunFolder& run) {
  for (const fs::path& folder : {run.checkpoints(), run.model(), run.tensorboard()}) {
    struct stat status {};
    if (::lstat(folder.c_str(), &status) == 0 && S_ISLNK(status.st_mode) && status.st_uid != ::geteuid())
      fail(ExitCode::output,
           fmt::format("{}: is a symbolic link of another user; expunge does not write through it", folder.string()));
  }
}

void clear_run(const RunFolder& run, const RunMark& mark) {
  const auto refuse = [](const fs::path& path, const char* why) {
    fail(ExitCode::output, fmt::format("{}: {}; nothing was removed", path.string(), why));
  };
  for (const fs::path& folder : {run.checkpoints(), run.model(), run.tensorboard()})
    if (const fs::file_status status = fs::symlink_status(folder); fs::exists(status) && !fs::is_directory(status))
      refuse(folder, "is not the folder that expunge made there; move it to start again");
  if (const auto foreign = foreign_in_checkpoints(run.checkpoints()))
    refuse(*foreign, "is no part of that checkpoint; move it to start again");
  const std::vector<fs::path> own = own_files(run, mark, refuse);
  const auto remove = [](const fs::path& path) {
    std::error_code error;
    if (fs::remove(path, error); error)
      fail(ExitCode::output, fmt::format("{}: cannot be removed: {}", path.string(), error.message()));
  };
  remove_checkpoints(run.checkpoints());
  for (const fs::path& path : own) remove(path);
  for (const fs::path& folder : {run.model(), run.tensorboard()}) {
    remove_stale_staging(folder);
    ::rmdir(folder.c_str());  // fails for a folder with files of others, which stays
  }
  remove(run.mark());
}

}  // namespace expunge
