// `expunge verify`: compares the hashes that a run or an exported model records with the files on disk.
#include "commands/verify.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstddef>
#include <map>
#include <optional>
#include <set>
#include <span>

#include "cli/values.h"
#include "commands/shared_options.h"
#include "commands/start.h"
#include "commands/verify_findings.h"
#include "core/text.h"
#include "data/label_file.h"
#include "expunge/error.h"
#include "io/content_kind.h"
#include "io/files.h"
#include "io/hash.h"
#include "io/hdf5_seal.h"
#include "run/config_changes.h"
#include "run/history.h"
#include "run/option_tables.h"
#include "run/output.h"
#include "run/provenance.h"
#include "run/run_folder.h"
#include "run/run_mark.h"
#include "store/checkpoint.h"
#include "store/checkpoint_files.h"
#include "store/tokenizer_files.h"

namespace expunge {
namespace {

namespace fs = std::filesystem;

/// The bytes of a column's numbers.
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

/// True if a table begins with all rows of the copy in a checkpoint.
bool begins_with(const Hdf5File& table, const Hdf5File& copy, const std::string& group) {
  return std::ranges::all_of(copy.children(group), [&](const std::string& name) {
    const std::string object = (group == "/" ? "" : group) + "/" + name;
    if (!table.exists(object) || table.is_group(object) != copy.is_group(object)) return false;
    if (copy.is_group(object)) return begins_with(table, copy, object);
    const std::vector<std::byte> before = column_bytes(copy, object), now = column_bytes(table, object);
    return now.size() >= before.size() && std::equal(before.begin(), before.end(), now.begin());
  });
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
      check_kept();
      check_mark();
      check_history(runtime_, parse_history(newest_->history, newest_path_.string()), hashes_, findings_);
    } else {
      findings_.mismatch(
          fmt::format("{}: no good checkpoint, so the run's model, options and inputs are unknown; start its command again to "
                      "make one",
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
                                 bound ? ", and every file that it names matches" : ", which detects only accidents"));
      if (!newest_) {
        options_ = read_run_options(info.config, checkpoint.string() + ": config");
        newest_ = info;
        newest_path_ = checkpoint;
      }
      check_nothing_else(checkpoint, files);
      check_kinship(checkpoint, info);
    } catch (const Error& error) {
      findings_.mismatch(error.what());
    }
  }

  /// Checks that a checkpoint is of the run of `newest_`, and of the step that its folder names.
  void check_kinship(const fs::path& checkpoint, const CheckpointInfo& info) {
    const auto mismatch = [&](const std::string& what) {
      findings_.mismatch(fmt::format("{}: {}", checkpoint.string(), what));
    };
    if (step_name(info.step) != checkpoint.filename()) mismatch(fmt::format("holds step {}", info.step));
    if (info.model_sha256 != newest_->model_sha256 || info.tokens_sha256 != newest_->tokens_sha256)
      mismatch(fmt::format("its model and tokens are not those of step {}", newest_->step));
    if (info.history != newest_->history) mismatch(fmt::format("it began from other runs than step {} names", newest_->step));
    for (const Difference& option : changed_options(info.config, newest_->config))
      mismatch(fmt::format("{} = {}, in step {} {}", option.key, option.before, newest_->step, option.after));
  }

  void check_nothing_else(const fs::path& checkpoint, const std::vector<ManifestFile>& files) {
    for (const fs::path& entry : list_folder(checkpoint)) {
      const std::string name = entry.filename().string();
      if (name != kManifest && std::ranges::find(files, name, &ManifestFile::name) == files.end())
        findings_.mismatch(fmt::format("{}: {} does not name it", entry.string(), kManifest));
    }
  }

  /// Checks that a table begins with the rows of the newest checkpoint's copy.
  void check_table(const fs::path& path) {
    const fs::path copy = newest_path_ / path.filename();
    if (!fs::exists(copy)) {
      if (fs::exists(path)) findings_.mismatch(fmt::format("{}: {} has no copy of it", path.string(), newest_path_.string()));
      return;
    }
    if (!fs::exists(path)) return findings_.mismatch(fmt::format("{}: gone; {} has a copy", path.string(), copy.string()));
    try {
      if (read_seal(path).state == Seal::State::broken) return;  // check_output() reports it
      const Hdf5File table(Hdf5File::open(path)), taken(Hdf5File::open(copy));
      if (!begins_with(table, taken, "/"))
        return findings_.mismatch(fmt::format("{}: its rows are not those of {}", path.string(), copy.string()));
      findings_.fine(fmt::format("{}: begins with the rows of {}", path.string(), copy.string()));
      if (table.has_attribute("/", "config"))
        for (const Difference& option : changed_options(newest_->config, table.read_attribute<std::string>("/", "config")))
          findings_.mismatch(fmt::format("{}: has {} = {}, but step {} has {}", path.string(), option.key, option.after,
                                         newest_->step, option.before));
      const std::string steps = path == run_.metrics() ? "/train/step" : "/eval/step";
      if (const std::uint64_t further = table.shape(steps).at(0) - taken.shape(steps).at(0); further > 0)
        uncovered_.push_back(
            fmt::format("{} of {} after step {}", counted(further, "row"), path.filename().string(), newest_->step));
    } catch (const Error& error) {
      findings_.mismatch(error.what());
    }
  }

  /// Checks files that the run writes once, by the hashes in its checkpoints. Earlier versions recorded none of reference.h5.
  void check_kept() {
    if (!newest_->reference_sha256.empty())
      findings_.compare_own(run_.reference(), newest_->reference_sha256, hashes_.of_file(run_.reference()));
    else if (fs::exists(run_.reference()) && is_bound(newest_path_))
      findings_.mismatch(fmt::format("{}: the run made none", run_.reference().string()));
    if (fs::exists(run_.labels()) && (newest_->labels_sha256.empty() || !options_.labels.given.empty()))
      findings_.mismatch(fmt::format("{}: the run made none", run_.labels().string()));
    if (newest_->step > 0 && !fs::exists(newest_path_ / run_.metrics().filename()))
      findings_.mismatch(fmt::format("{}: has no {}, but every checkpoint after a step has one", newest_path_.string(),
                                     run_.metrics().filename().string()));
  }

  /// Checks the mark, which names files that the run writes once. Earlier versions wrote no mark.
  void check_mark() {
    const std::optional<RunMark> mark = read_mark(run_);
    if (!mark && (fs::exists(run_.mark()) || is_bound(newest_path_)))
      return findings_.mismatch(fmt::format("{}: {}", run_.mark().string(), fs::exists(run_.mark()) ? "not a mark" : "gone"));
    if (!mark) return;
    // The checkpoints name its other files, which check_kept() and check_side_files() compare.
    if (const auto named = mark->files.find(run_.config().filename()); named != mark->files.end())
      findings_.compare_own(run_.config(), named->second, hashes_.of_file(run_.config()));
  }

  /// Names of files in the folder that are not checked.
  std::vector<std::string> not_covered() const {
    std::vector<std::string> names = uncovered_;
    for (const fs::path& entry : list_folder(run_.root)) {
      const bool covered = entry == run_.config() || entry == run_.model() || entry == run_.checkpoints() ||
                           entry == run_.mark() || entry == run_.lock() || entry.extension() == ".h5";
      if (!covered) names.push_back(entry.filename().string());
    }
    for (const fs::path& entry : list_folder(run_.checkpoints()))
      if (!is_step_name(entry.filename().string())) names.push_back("checkpoints/" + entry.filename().string());
    return names;
  }

  /// Compares the options that decide the result; others may change from start to start.
  void check_config() {
    try {
      const std::vector<Difference> changed = changed_options(newest_->config, run_.read_config());
      if (changed.empty()) findings_.fine(fmt::format("{}: the options of step {}", run_.config().string(), newest_->step));
      for (const Difference& option : changed)
        findings_.mismatch(fmt::format("{}: {} = {}, was {}", run_.config().string(), option.key, option.after, option.before));
    } catch (const Error& error) {
      findings_.mismatch(error.what());
    }
  }

  /// Checks the side files of the run, which an export copies, and those of the original model.
  void check_side_files() {
    const std::map<std::string, std::string> named = read_hashes(newest_->model_files);
    for (const auto& [name, hash] : named)
      findings_.compare_own(run_.model() / name, hash, hashes_.of_file(run_.model() / name));
    if (fs::is_directory(run_.model()))
      for (const fs::path& file : list_folder(run_.model()))
        if (!named.contains(file.filename().string()))
          findings_.mismatch(fmt::format("{}: did not exist when the run began", file.string()));
    const fs::path model = options_.input.model, original = side_files_folder(model);
    if (!model.empty())
      for (const auto& [name, hash] : named)
        findings_.compare("the original model's " + (original / name).string(), hash, hashes_.of_file(original / name));
  }

  void check_inputs() {
    check_origin({newest_->config, newest_->model_sha256, newest_->tokens_sha256}, hashes_, findings_);
    if (const std::string order = options_.samples.order.string(); !order.empty() && !newest_->sample_order_sha256.empty())
      findings_.compare("the sample order, " + order, newest_->sample_order_sha256, hashes_.of_file(order));
    if (newest_->labels_sha256.empty()) return;
    const std::string given = options_.labels.given.string();
    if (given.empty()) return findings_.compare_own(run_.labels(), newest_->labels_sha256, hashes_.of_file(run_.labels()));
    const std::string& now = hashes_.of_file(given);
    findings_.compare("the labels, " + given + whose_labels(given, now), newest_->labels_sha256, now);
  }

  /// A note on the model that drew the labels, because labels of another model may be intended.
  std::string whose_labels(const fs::path& labels, const std::string& now) const {
    if (now != newest_->labels_sha256) return {};
    const std::string drew = read_label_origin(labels).model_sha256;
    if (drew.empty()) return " (they do not record the model that drew them)";
    return drew == newest_->model_sha256 ? "" : fmt::format(" (drawn by another model, SHA-256 {})", drew);
  }

  /// Checks the model and the texts that a file names. A file of the run must name the run's.
  void check_output(const fs::path& path) {
    try {
      if (path == run_.labels() ? !labels_are_whole() : !check_seal(path)) return;
      const Hdf5File file = Hdf5File::open(path);
      const auto text = [&](const char* name) {
        return file.has_attribute("/", name) ? file.read_attribute<std::string>("/", name) : std::string();
      };
      const std::string name = path.filename().string(), model = text("model_sha256");
      if (model.empty()) return findings_.missing(fmt::format("{}: records no hashes", path.string()));
      if (text("model").empty()) {
        if (results_of_commands().contains(path.stem().string()))
          return findings_.mismatch(fmt::format("{}: does not name its model", path.string()));
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

  static const std::set<std::string>& results_of_commands() {
    static const std::set<std::string> kNames = {"eval", "mia", "task", "eval-before", "mia-before", "task-before"};
    return kNames;
  }

  /// Checks labels by the hash in the checkpoints; check_inputs() reports another hash.
  bool labels_are_whole() { return newest_ && hashes_.of_file(run_.labels()) == newest_->labels_sha256; }

  /// Reports the seal of a file. False for a damaged file, because the HDF5 library may crash on it.
  bool check_seal(const fs::path& path) {
    const std::string stem = path.stem().string();
    const bool sealed =
        stem == "metrics" || stem == "evaluations" || stem == "reference" || results_of_commands().contains(stem);
    const Seal seal = read_seal(path);
    const bool damaged = seal.state == Seal::State::broken || (seal.state == Seal::State::none && sealed);
    if (seal.state == Seal::State::whole)
      findings_.fine(fmt::format("{}: matches its own file_sha256, {}", path.string(), seal.sha256));
    else if (damaged)
      findings_.mismatch(fmt::format("{}: {}", path.string(), kBrokenSeal));
    else
      findings_.missing(fmt::format("{}: records no SHA-256 of itself", path.string()));
    return !damaged;
  }

  /// Checks the model of results. `own`: the model that was measured, which for some file names must be one of the run's.
  void check_model(const std::string& output, const std::string& model, const std::string& named, bool own) {
    // Results may be of an earlier checkpoint of the run.
    if (const auto known = manifests_.find(named); known != manifests_.end())
      return findings_.fine(fmt::format("{}: made of {}", output, known->second));
    // Readers take files of these names for the run's own results.
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
  std::map<std::string, std::string> manifests_;  // SHA-256 to name, of good checkpoints
  std::optional<CheckpointInfo> newest_;          // of the newest good checkpoint
  fs::path newest_path_;
  RunOptions options_;  // of the newest good one
  std::vector<std::string> uncovered_;
};

ExitCode run_verify(Session& session, const fs::path& path) {
  const RunFolder run{path};
  if (fs::exists(path / kExportRecord)) return verify_export(session.runtime(), path);
  if (fs::exists(run.config()) && fs::is_directory(run.checkpoints())) return RunCheck(session.runtime(), path).verify();
  refuse_mistaken(path);
  fail(ExitCode::bad_input,
       fmt::format("{}: {}", whole_path(path).string(),
                   fs::exists(path) ? "expected a run folder or a model folder of expunge export" : "does not exist"));
}

}  // namespace

OptionTable verify_options(VerifyConfig& config) {
  OptionTable table("verify");
  table.group(
      "Argument",
      {positional(path("folder", "DIR", FileUse::model, config.path, "run folder, or model folder of expunge export"))});
  table.group("Options", {config_option(), print_config_option()});
  return table;
}

Command verify_command() {
  return command<VerifyConfig>(
      "verify", "Recomputes the hashes that a run or an exported model records.", "expunge verify output/unlearn", Ranks::one,
      verify_options, [](VerifyConfig& config, const OptionTable&) {
        return in_session({.device = "cpu"}, false, [&](Session& session) { return run_verify(session, config.path); });
      });
}

}  // namespace expunge
