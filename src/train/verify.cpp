// `expunge verify`: the hashes that a run or an exported model names, held against what lies on disk.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cstddef>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <span>

#include "expunge/core/error.h"
#include "expunge/core/standard_streams.h"
#include "expunge/io/content_kind.h"
#include "expunge/io/files.h"
#include "expunge/io/hash.h"
#include "expunge/io/hdf5_seal.h"
#include "expunge/io/json.h"
#include "expunge/model/llama.h"
#include "expunge/train/checkpoint.h"
#include "expunge/train/commands.h"
#include "expunge/train/model_source.h"
#include "expunge/train/run_folder.h"
#include "train/checkpoint_files.h"
#include "train/history.h"
#include "train/provenance.h"
#include "train/resolved_config.h"
#include "train/side_files.h"

namespace expunge {
namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t kJsonLimit = std::uint64_t{16} << 20;

/// One line a finding, and their numbers.
class Findings {
 public:
  void fine(const std::string& what) { add("ok", fine_, what); }
  void missing(const std::string& what) { add("missing", missing_, what); }
  void mismatch(const std::string& what) { add("MISMATCH", mismatches_, what); }
  /// Compares, where there is something to compare with; `now` is empty for what is gone.
  void compare(const std::string& what, const std::string& named, const std::string& now) {
    if (now.empty())
      missing(fmt::format("{}: cannot be read any more (SHA-256 was {})", what, named));
    else if (now == named)
      fine(fmt::format("{}: SHA-256 {}", what, named));
    else
      mismatch(fmt::format("{}: SHA-256 {}, was {}", what, now, named));
  }
  /// The same of a file that belongs to what is verified, and may not be gone.
  void compare_own(const fs::path& path, const std::string& named, const std::string& now) {
    if (now.empty()) return mismatch(fmt::format("{}: gone (SHA-256 was {})", path.string(), named));
    compare(path.string(), named, now);
  }
  /// `not_covered`: what lies beside what was verified.
  ExitCode conclude(const std::vector<std::string>& not_covered) const {
    if (!not_covered.empty()) print_result("not covered: {}\n", fmt::join(not_covered, ", "));
    print_result("{} fine, {} missing, {} that do not match\n", fine_, missing_, mismatches_);
    return mismatches_ > 0 ? ExitCode::mismatch : ExitCode::done;
  }

 private:
  static void add(const char* kind, int& count, const std::string& what) {
    print_result("{:<9} {}\n", kind, what);
    check_printed();  // a line that nobody can keep proves nothing
    ++count;
  }
  int fine_ = 0, missing_ = 0, mismatches_ = 0;
};

/// Hashes of what paths lead to, each worked out once; empty for what cannot be read.
class Hashes {
 public:
  explicit Hashes(const Runtime& runtime) : runtime_(runtime) {}
  const std::string& of_file(const fs::path& path) {
    return remember("file " + path.string(), [&] { return sha256_file(path); });
  }
  const std::string& of_model(const fs::path& path) {
    return remember("model " + path.string(), [&] {
      // A config.json stands for the model of random weights that it describes.
      if (fs::is_regular_file(path)) return sha256_file(path);
      const ModelSource source = locate_model(runtime_, path);
      return model_sha256(source, runtime_, llama_units(source.config, 1));
    });
  }

 private:
  const std::string& remember(const std::string& key, const std::function<std::string()>& hash) {
    const auto [place, added] = known_.try_emplace(key);
    try {
      if (added) place->second = hash();
    } catch (const Error& error) {
      if (error.code() != ExitCode::bad_input) throw;
    }
    return place->second;
  }
  const Runtime& runtime_;
  std::map<std::string, std::string> known_;
};

/// The numbers of a column, as they are stored.
std::vector<std::byte> column_bytes(const Hdf5File& file, const std::string& object) {
  const auto bytes = [](const auto& values) {
    const auto view = std::as_bytes(std::span(values));
    return std::vector<std::byte>(view.begin(), view.end());
  };
  try {
    return bytes(file.read_all<double>(object));
  } catch (const Error&) {
    return bytes(file.read_all<std::int64_t>(object));
  }
}

/// Whether a table of figures begins with all rows of the copy that a checkpoint took.
bool begins_with(const Hdf5File& table, const Hdf5File& copy, const std::string& group) {
  return std::ranges::all_of(copy.children(group), [&](const std::string& name) {
    const std::string object = (group == "/" ? "" : group) + "/" + name;
    if (!table.exists(object) || table.is_group(object) != copy.is_group(object)) return false;
    if (copy.is_group(object)) return begins_with(table, copy, object);
    const std::vector<std::byte> before = column_bytes(copy, object), now = column_bytes(table, object);
    return now.size() >= before.size() && std::equal(before.begin(), before.end(), now.begin());
  });
}

/// The model that a run with these options began from: a folder, or the config.json of one with random weights.
std::string original_model(const std::string& config) {
  const std::string model = config_value(config, "model");
  return model.empty() ? config_value(config, "init-config") : model;
}

class RunCheck {
 public:
  RunCheck(const Runtime& runtime, const fs::path& root) : runtime_(runtime), run_{root}, hashes_(runtime) {}

  ExitCode verify() {
    for (const fs::path& checkpoint : list_checkpoints(run_.checkpoints())) check_checkpoint(checkpoint);
    if (newest_) {
      check_config();
      check_inputs();
      check_side_files();
      for (const fs::path& table : {run_.metrics(), run_.evaluations()}) check_table(table);
      if (!newest_->reference_sha256.empty())
        findings_.compare_own(run_.reference(), newest_->reference_sha256, hashes_.of_file(run_.reference()));
      check_history(parse_history(newest_->history, newest_path_.string()));
    } else {
      findings_.mismatch(
          fmt::format("{}: no good checkpoint, so nothing says what the run's model, options and inputs should be; start its "
                      "command again, which makes one",
                      run_.checkpoints().string()));
    }
    for (const fs::path& file : list_folder(run_.root))
      if (file.extension() == ".h5") check_output(file);
    return findings_.conclude(not_covered());
  }

 private:
  void check_checkpoint(const fs::path& checkpoint) {
    try {
      verify_checkpoint(runtime_, checkpoint);
      const CheckpointInfo info = CheckpointReader(checkpoint).info();
      const std::vector<ManifestFile> files = read_manifest(checkpoint);
      const std::string& root = hashes_.of_file(checkpoint / kManifest);
      manifests_[root] = checkpoint.filename().string();
      const bool bound = std::ranges::all_of(files, &ManifestFile::has_sha256);
      findings_.fine(fmt::format("{}: {} of {}{}", checkpoint.string(),
                                 bound ? "SHA-256 " + root : "every file matches the CRC-32C", kManifest,
                                 bound ? ", and every file that it names matches" : ", which shows accidents alone"));
      if (!newest_) newest_ = info, newest_path_ = checkpoint;
      check_nothing_else(checkpoint, files);
      if (info.model_sha256 != newest_->model_sha256 || info.tokens_sha256 != newest_->tokens_sha256)
        findings_.mismatch(
            fmt::format("{}: its model and tokens are not those of step {}", checkpoint.string(), newest_->step));
    } catch (const Error& error) {
      findings_.mismatch(error.what());
    }
  }

  void check_nothing_else(const fs::path& checkpoint, const std::vector<ManifestFile>& files) {
    for (const fs::path& entry : list_folder(checkpoint)) {
      const std::string name = entry.filename().string();
      if (name != kManifest && std::ranges::find(files, name, &ManifestFile::name) == files.end())
        findings_.mismatch(fmt::format("{}: {} does not name it", entry.string(), kManifest));
    }
  }

  /// Rows that the newest checkpoint has a copy of.
  void check_table(const fs::path& path) {
    const fs::path copy = newest_path_ / path.filename();
    if (!fs::exists(copy)) return;
    if (!fs::exists(path)) return findings_.mismatch(fmt::format("{}: gone; {} has a copy", path.string(), copy.string()));
    try {
      if (read_seal(path).state == Seal::State::broken) return;  // check_output() says so
      if (begins_with(Hdf5File::open(path), Hdf5File::open(copy), "/"))
        findings_.fine(fmt::format("{}: begins with the rows of {}", path.string(), copy.string()));
      else
        findings_.mismatch(fmt::format("{}: its rows are not those of {}", path.string(), copy.string()));
    } catch (const Error& error) {
      findings_.mismatch(error.what());
    }
  }

  /// The runs before this one, oldest first, back to the original model.
  void check_history(const std::vector<FormerRun>& history) {
    for (const FormerRun& run : history) {
      const bool exported = run.how == FormerRun::kExport;
      const fs::path record = fs::path(run.from) / (exported ? kExportRecord : kManifest);
      findings_.compare(fmt::format("began from {}, step {} of {}", run.from, run.step, method_of(run.config)), run.sha256,
                        hashes_.of_file(record));
      if (exported || !fs::exists(record)) continue;
      if (const std::string damage = damage_of(runtime_, run.from); !damage.empty())
        findings_.mismatch(fmt::format("{}: {}", run.from, damage));
    }
    if (history.empty()) return;
    const FormerRun& first = history.front();
    const std::string model = original_model(first.config);
    findings_.compare("the original model of all, " + model, first.model_sha256, hashes_.of_model(model));
  }

  /// What lies in the folder and is not looked at.
  std::vector<std::string> not_covered() const {
    std::vector<std::string> names;
    for (const fs::path& entry : list_folder(run_.root)) {
      const bool covered = entry == run_.config() || entry == run_.model() || entry == run_.checkpoints() ||
                           entry == run_.mark() || entry == run_.lock() || entry.extension() == ".h5";
      if (!covered) names.push_back(entry.filename().string());
    }
    for (const fs::path& entry : list_folder(run_.checkpoints()))
      if (!is_step_name(entry.filename().string())) names.push_back("checkpoints/" + entry.filename().string());
    return names;
  }

  /// Options that leave the result alone may change from start to start.
  void check_config() {
    try {
      const auto difference = first_difference(newest_->config, run_.read_config());
      if (!difference) return findings_.fine(fmt::format("{}: the options of step {}", run_.config().string(), newest_->step));
      findings_.mismatch(
          fmt::format("{}: {} = {}, was {}", run_.config().string(), difference->key, difference->after, difference->before));
    } catch (const Error& error) {
      findings_.mismatch(error.what());
    }
  }

  /// Those of the run, which an export takes, and those of the original model.
  void check_side_files() {
    const std::map<std::string, std::string> named = read_hashes(newest_->model_files);
    for (const auto& [name, hash] : named)
      findings_.compare_own(run_.model() / name, hash, hashes_.of_file(run_.model() / name));
    if (fs::is_directory(run_.model()))
      for (const fs::path& file : list_folder(run_.model()))
        if (!named.contains(file.filename().string()))
          findings_.mismatch(fmt::format("{}: was not there when the run began", file.string()));
    const fs::path model = config_value(newest_->config, "model"), original = side_files_folder(model);
    if (!model.empty())
      for (const auto& [name, hash] : named)
        findings_.compare("the original model's " + (original / name).string(), hash, hashes_.of_file(original / name));
  }

  void check_inputs() {
    const std::string& config = newest_->config;
    const std::string model = original_model(config);
    findings_.compare("the original model, " + model, newest_->model_sha256, hashes_.of_model(model));
    const std::string tokens = config_value(config, "tokens");
    findings_.compare("the token file, " + tokens, newest_->tokens_sha256, hashes_.of_file(tokens));
    if (newest_->labels_sha256.empty()) return;
    const std::string given = config_value(config, "labels");
    if (given.empty()) return findings_.compare_own(run_.labels(), newest_->labels_sha256, hashes_.of_file(run_.labels()));
    findings_.compare("the labels, " + given, newest_->labels_sha256, hashes_.of_file(given));
  }

  /// A file of results names the model and the texts that they are of; one that the run itself wrote, what the run began with.
  void check_output(const fs::path& path) {
    try {
      if (path == run_.labels() ? !labels_are_whole() : !check_seal(path)) return;
      const Hdf5File file = Hdf5File::open(path);
      const auto text = [&](const char* name) {
        return file.has_attribute("/", name) ? file.read_attribute<std::string>("/", name) : std::string();
      };
      const std::string name = path.filename().string(), model = text("model_sha256");
      if (model.empty()) return findings_.missing(fmt::format("{}: names no hashes", path.string()));
      if (text("model").empty()) {
        if (!newest_) return;
        findings_.compare(fmt::format("{}: the model that it names", name), model, newest_->model_sha256);
        return findings_.compare(fmt::format("{}: the tokens that it names", name), text("tokens_sha256"),
                                 newest_->tokens_sha256);
      }
      check_model(name, text("model"), model, true);
      if (const std::string other = text("reference_model"); !other.empty())
        check_model(name, other, text("reference_model_sha256"), false);
      for (const auto& [input, hash] :
           {std::pair{"tokens", "tokens_sha256"}, {"tasks", "tasks_sha256"}, {"fewshot_file", "fewshot_sha256"}})
        if (const std::string other = text(input); !other.empty())
          findings_.compare(fmt::format("{}: made with {}", name, other), text(hash), hashes_.of_file(other));
    } catch (const Error& error) {
      findings_.mismatch(error.what());
    }
  }

  /// Their hash stands in the checkpoints; check_inputs() says where it is another.
  bool labels_are_whole() { return newest_ && hashes_.of_file(run_.labels()) == newest_->labels_sha256; }

  /// False for a file that is damaged, which the HDF5 library had better not see.
  bool check_seal(const fs::path& path) {
    static const std::set<std::string> kSealed = {"metrics", "evaluations", "reference",  "eval",       "mia",
                                                  "task",    "eval-before", "mia-before", "task-before"};
    const Seal seal = read_seal(path);
    const bool damaged =
        seal.state == Seal::State::broken || (seal.state == Seal::State::none && kSealed.contains(path.stem().string()));
    if (seal.state == Seal::State::whole)
      findings_.fine(fmt::format("{}: SHA-256 {}", path.string(), seal.sha256));
    else if (damaged)
      findings_.mismatch(fmt::format("{}: {}", path.string(), kBrokenSeal));
    else
      findings_.missing(fmt::format("{}: names no SHA-256 of itself", path.string()));
    return !damaged;
  }

  /// `own`: the model that the results are of, which for some names must be one of the run's.
  void check_model(const std::string& output, const std::string& model, const std::string& named, bool own) {
    // Results may be of an earlier checkpoint of the run.
    if (const auto known = manifests_.find(named); known != manifests_.end())
      return findings_.fine(fmt::format("{}: made of {}", output, known->second));
    // These are taken for the run's own results.
    static const std::set<std::string> kOwn = {"eval.h5", "mia.h5", "task.h5"};
    if (own && newest_ && kOwn.contains(output))
      return findings_.mismatch(
          fmt::format("{}: made of {} (SHA-256 {}), which is none of the run's good checkpoints", output, model, named));
    findings_.compare(fmt::format("{}: made of {}", output, model), named, hashes_.of_model(model));
  }

  const Runtime& runtime_;
  RunFolder run_;
  Hashes hashes_;
  Findings findings_;
  std::map<std::string, std::string> manifests_;  // of good checkpoints: SHA-256 to name
  std::optional<CheckpointInfo> newest_;          // of the newest good one
  fs::path newest_path_;
};

ExitCode verify_export(const Runtime& runtime, const fs::path& folder) {
  const fs::path record = folder / kExportRecord;
  const JsonObject made(parse_json_file(record, kJsonLimit), record.string());
  Hashes hashes(runtime);
  Findings findings;
  findings.fine(fmt::format("{}: SHA-256 {}", record.string(), hashes.of_file(record)));
  const JsonObject files(made.at("files"), made.where());
  for (const auto& [name, unused] : files.value().items())
    findings.compare_own(folder / name, files.string(name), hashes.of_file(folder / name));
  for (const fs::path& entry : list_folder(folder))
    if (entry != record && !files.value().contains(entry.filename().string()))
      findings.mismatch(fmt::format("{}: {} does not name it", entry.string(), kExportRecord));
  if (files.value().empty()) findings.mismatch(fmt::format("{}: names no files", record.string()));
  const fs::path checkpoint = made.string("checkpoint");
  findings.compare("the checkpoint, " + checkpoint.string(), made.string("checkpoint_sha256"),
                   hashes.of_file(checkpoint / kManifest));
  if (fs::exists(checkpoint / kManifest))
    if (const std::string damage = damage_of(runtime, checkpoint); !damage.empty())
      findings.mismatch(fmt::format("{}: {}", checkpoint.string(), damage));
  return findings.conclude({});
}

}  // namespace

ExitCode run_verify(Session& session, const fs::path& path) {
  const RunFolder run{path};
  if (fs::exists(path / kExportRecord)) return verify_export(session.runtime(), path);
  if (fs::exists(run.config()) && fs::is_directory(run.checkpoints())) return RunCheck(session.runtime(), path).verify();
  refuse_mistaken(path);
  fail(ExitCode::bad_input,
       fmt::format("{}: {}", whole_path(path).string(),
                   fs::exists(path) ? "neither a run folder nor a model folder of expunge export" : "does not exist"));
}

}  // namespace expunge
