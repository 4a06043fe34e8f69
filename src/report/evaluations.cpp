// Chooses among the files of results of a run.
#include "report/evaluations.h"

#include <fmt/format.h>

#include <algorithm>
#include <tuple>

#include "expunge/error.h"
#include "io/hash.h"
#include "io/hdf5_seal.h"
#include "report/in_run.h"
#include "run/history.h"
#include "run/provenance.h"
#include "run/results/eval.h"
#include "run/run_folder.h"

namespace expunge {
namespace {

namespace fs = std::filesystem;

ReportEvaluation read_report_evaluation(const Hdf5File& file) {
  for (const char* name : {"model", "model_sha256", "tokens_sha256", "dtype"})
    if (!file.has_attribute("/", name))
      fail(ExitCode::bad_input, fmt::format("{}: expected results of expunge eval, mia or task, but it has no attribute '{}'",
                                            file.path().string(), name));
  return {file.path(), file.read_attribute<std::string>("/", "model"), file.read_attribute<std::string>("/", "model_sha256"),
          evaluation_conditions(file), read_evaluation(file)};
}

ReportTasks read_report_tasks(const Hdf5File& file) { return {read_tasks(file), file.path(), task_conditions(file)}; }

/// The names of files of one kind in a run's folder, and their place in the report.
template <typename File>
struct Kind {
  const char *before_name, *after_name;
  std::optional<File> ReportRun::*before, ReportRun::*after;
  std::vector<ConditionPair> ReportRun::*pairs;
  File (*read)(const Hdf5File&);
};
constexpr Kind<ReportEvaluation> kEvaluations{
    "eval-before.h5", "eval.h5", &ReportRun::before, &ReportRun::after, &ReportRun::evaluated, read_report_evaluation};
constexpr Kind<ReportAttacks> kAttacks{"mia-before.h5",      "mia.h5",    &ReportRun::attacks_before, &ReportRun::attacks_after,
                                       &ReportRun::attacked, read_attacks};
constexpr Kind<ReportTasks> kTasks{"task-before.h5",        "task.h5",         &ReportRun::tasks_before,
                                   &ReportRun::tasks_after, &ReportRun::asked, read_report_tasks};

/// The files of --before and --after.
template <typename File>
struct Given {
  std::vector<File> before, after;
};
using AllGiven = std::tuple<Given<ReportEvaluation>, Given<ReportAttacks>, Given<ReportTasks>>;

/// The checkpoint that an evaluated model was exported from; empty if unknown.
std::string exported_from(const std::string& model, const std::string& model_sha256) {
  try {
    const fs::path record = fs::path(model) / kExportRecord;
    std::error_code none;
    const bool told = !model.empty() && !model_sha256.empty() && fs::is_regular_file(record, none);
    return told ? checkpoint_of_export(record, model_sha256) : std::string();
  } catch (const Error&) {
    return {};  // a broken export beside the run must not stop the report
  }
}

template <typename File>
File with_origin(File file) {
  file.origin.checkpoint_sha256 = exported_from(file.model, file.model_sha256);
  return file;
}

/// Reads a file of any kind and passes it to `take`.
template <typename Take>
void read_results(const fs::path& path, const Take& take) {
  const Hdf5File file = open_sealed(path);
  if (is_membership(file))
    take(with_origin(read_attacks(file)));
  else if (is_tasks(file))
    take(with_origin(read_report_tasks(file)));
  else
    take(with_origin(read_report_evaluation(file)));
}

/// True if a file is about the model of this hash, or about an export of it.
template <typename File>
bool is_of(const File& file, const std::string& sha256) {
  return file.model_sha256 == sha256 || (!file.origin.checkpoint_sha256.empty() && file.origin.checkpoint_sha256 == sha256);
}

// Without a hash of the model or a checkpoint of the run, the choice of the user counts.
template <typename File>
bool is_known(const ReportRun& run, const File& file) {
  return run.checkpoint && !file.model_sha256.empty();
}

template <typename File>
std::optional<std::size_t> changes_of(const ReportRun& run, const File& file) {
  const std::optional<std::size_t> own = run.lineage.changes_of(file.model_sha256);
  return own || file.origin.checkpoint_sha256.empty() ? own : run.lineage.changes_of(file.origin.checkpoint_sha256);
}

/// True if a model lies in the run's folder. Its path comes from a file, so it may not exist.
bool is_inside(const ReportRun& run, const std::string& model) {
  std::error_code none;
  const fs::path place = fs::weakly_canonical(model, none).lexically_relative(fs::weakly_canonical(run.folder, none));
  return !place.empty() && (place == "." || *place.begin() == "checkpoints");
}

/// A run's checkpoints with their hashes, newest first.
std::vector<NamedCheckpoint> named_checkpoints(const fs::path& folder) {
  std::vector<NamedCheckpoint> named;
  for (const fs::path& checkpoint : list_checkpoints(RunFolder{folder}.checkpoints()))
    if (const fs::path manifest = checkpoint / kManifest; fs::is_regular_file(manifest))
      named.push_back({checkpoint.filename().string(), sha256_file(manifest)});
  return named;
}

/// Marks results that are not of the run's newest checkpoint or of an export of it.
template <typename File>
void mark_after(const ReportRun& run, File& file) {
  if (file.model_sha256.empty()) return;
  ResultOrigin& origin = file.origin;
  const std::vector<NamedCheckpoint>& all = run.checkpoints;
  const auto its = std::ranges::find_if(all, [&](const NamedCheckpoint& one) { return is_of(file, one.sha256); });
  if (its != all.end()) {
    const std::string newest = run.checkpoint ? run.checkpoint_folder.filename().string() : all.front().name;
    if (its->name == newest) return;
    origin.mark = its->name;
    origin.other = fmt::format("{}, not of the newest checkpoint, {}", its->name, newest);
    return;
  }
  origin.mark = is_inside(run, file.model) ? "a state that is gone" : "another model";
  origin.other = fmt::format("{} ({})", origin.mark, file.model);
  if (run.checkpoint)
    origin.other += fmt::format(", not of the newest checkpoint, {}", run.checkpoint_folder.filename().string());
  if (std::error_code none; !fs::exists(file.model, none))
    origin.other += "; that folder is gone, so an export could not be recognised";
}

/// Marks results of a model that the run did not come from.
template <typename File>
void mark_before(const ReportRun& run, File& file) {
  file.origin.changes = run.lineage.original;
  if (!is_known(run, file)) return;
  if (const auto changes = changes_of(run, file)) {
    file.origin.changes = *changes;
    return;
  }
  file.origin.mark = "another model";
  file.origin.other = fmt::format("another model ({}), not one that this run came from", file.model);
}

/// Reads a file in the run's folder, unless its state is gone because the run started again or continued.
template <typename File>
void read_own(const char* name, const Kind<File>& kind, ReportRun& run, std::vector<File>& files) {
  const fs::path path = run.folder / name;
  if (!fs::exists(path)) return;
  File file = with_origin(kind.read(open_sealed(path)));
  const bool outdated =
      !file.model.empty() && !file.model_sha256.empty() && is_inside(run, file.model) &&
      std::ranges::none_of(run.checkpoints, [&](const NamedCheckpoint& one) { return is_of(file, one.sha256); });
  if (!outdated) return files.push_back(std::move(file));
  run.notes.push_back(fmt::format(
      "{} is about a state of this run that is gone, and is left out: remove it, or make it again with --overwrite.",
      path.string()));
}

void count_samples(const ReportEvaluation& before, const ReportEvaluation& after, std::vector<ConditionPair>& pairs) {
  for (const auto& [split, metrics] : after.splits)
    if (const auto other = before.splits.find(split); other != before.splits.end())
      add_count(pairs, "sequences of " + split, other->second.sequences, metrics.sequences);
}

void count_samples(const ReportAttacks& before, const ReportAttacks& after, std::vector<ConditionPair>& pairs) {
  add_count(pairs, "members scored", before.attacks.front().members, after.attacks.front().members);
  add_count(pairs, "non-members scored", before.attacks.front().non_members, after.attacks.front().non_members);
}

void count_samples(const ReportTasks& before, const ReportTasks& after, std::vector<ConditionPair>& pairs) {
  for (const StoredTask& task : after.results)
    if (const auto other = std::ranges::find(before.results, task.name, &StoredTask::name); other != before.results.end())
      add_count(pairs, "items of " + task.name, other->items, task.items);
}

/// Pairs the conditions of both files; the conditions of a single file are paired with nothing.
template <typename File>
std::vector<ConditionPair> paired(const std::optional<File>& before, const std::optional<File>& after) {
  std::vector<ConditionPair> pairs =
      pair_conditions(before ? before->conditions : Conditions(), after ? after->conditions : Conditions());
  if (before && after) count_samples(*before, *after, pairs);
  return pairs;
}

/// Prefers files of --after to files in the folder, and the newest checkpoint to other models.
template <typename File>
void choose_after(const Kind<File>& kind, const Given<File>& given, ReportRun& run) {
  std::vector<File> files = given.after;
  read_own(kind.after_name, kind, run, files);
  for (File& file : files) mark_after(run, file);
  if (files.empty()) return;
  const auto end = given.after.empty() ? files.end() : files.begin() + std::ssize(given.after);
  const auto chosen = std::min_element(files.begin(), end,
                                       [](const File& a, const File& b) { return a.origin.is_other() < b.origin.is_other(); });
  for (auto file = files.begin(); file != files.end(); ++file) {
    if (file == chosen) continue;
    std::string why = "given by --after";
    if (file < end) why = "given before it";
    if (file < end && file->origin.is_other() && !chosen->origin.is_other()) why = "of the run's newest checkpoint";
    run.notes.push_back(fmt::format("{} is not used: {} is {}.", file->path.string(), chosen->path.string(), why));
  }
  run.*kind.after = *chosen;
}

/// The order of preference: the original model, then those before it, then changed ones.
std::size_t rank_of(const Lineage& lineage, const ResultOrigin& origin) {
  const std::size_t most = lineage.former.size() + 1;
  if (origin.is_other()) return 2 * most;
  return origin.changes <= lineage.original ? lineage.original - origin.changes : most + origin.changes;
}

/// Prefers the model with the lowest rank, then results with the conditions of the results after.
template <typename File>
void choose_before(const Kind<File>& kind, std::vector<File> files, ReportRun& run) {
  for (File& file : files) mark_before(run, file);
  if (files.empty()) return;
  const std::optional<File>& after = run.*kind.after;
  const auto rank = [&](const File& file) {
    return std::pair(rank_of(run.lineage, file.origin), after && !differences(paired(std::optional(file), after)).empty());
  };
  const auto chosen = std::ranges::min_element(files, {}, rank);
  for (auto file = files.begin(); file != files.end(); ++file) {
    if (file == chosen) continue;
    std::string why = "comes first";
    if (rank(*file).first != rank(*chosen).first)
      why = "is of " + run.lineage.name(chosen->origin.changes);
    else if (rank(*file) != rank(*chosen))
      why = fmt::format("has the conditions of {}", after->path.string());
    run.notes.push_back(fmt::format("{} is not used: {} {}.", file->path.string(), chosen->path.string(), why));
  }
  run.*kind.before = *chosen;
}

template <typename File>
void tell_of_others(const Kind<File>& kind, ReportRun& run) {
  for (const auto& place : {kind.before, kind.after})
    if (const std::optional<File>& file = run.*place; file && file->origin.is_other())
      run.notes.push_back(
          fmt::format("{} is of {}. Its metrics are shown and not compared.", file->path.string(), file->origin.other));
  const std::optional<File>& before = run.*kind.before;
  if (before && !before->origin.is_other() && before->origin.changes != run.lineage.original)
    run.notes.push_back(fmt::format("{} is of {}, not of the original model.", before->path.string(),
                                    run.lineage.name(before->origin.changes)));
}

template <typename File>
void attach(const Kind<File>& kind, const AllGiven& all, InRunEnds ends, ReportRun& run) {
  const auto& given = std::get<Given<File>>(all);
  choose_after(kind, given, run);
  std::vector<File> before;
  for (const File& file : given.before)
    if (!is_known(run, file) || changes_of(run, file)) before.push_back(file);
  read_own(kind.before_name, kind, run, before);
  if constexpr (std::is_same_v<File, ReportEvaluation>) {
    if (!ends.lacking.empty() && (before.empty() || !run.after)) run.notes.push_back(ends.lacking);
    if (!run.after) run.after = std::move(ends.after);
    if (before.empty() && ends.before) before.push_back(std::move(*ends.before));
  }
  choose_before(kind, std::move(before), run);
  run.*kind.pairs = paired(run.*kind.before, run.*kind.after);
  tell_of_others(kind, run);
}

/// Throws Error(usage) for a file of --before that fits no run.
template <typename File>
void check_before(const File& file, const std::vector<ReportRun>& runs) {
  const auto fits = [&](const ReportRun& run) { return !is_known(run, file) || changes_of(run, file); };
  if (std::ranges::none_of(runs, fits))
    fail(ExitCode::usage,
         fmt::format("--before {}: no run began from its model, directly or through earlier runs (its model_sha256 is {}, but "
                     "the first run began from {})",
                     file.path.string(), file.model_sha256, runs.front().checkpoint->model_sha256));
}

}  // namespace

void attach_results(const ReportConfig& config, std::vector<ReportRun>& runs) {
  if (!config.after.empty() && runs.size() > 1)
    fail(ExitCode::usage,
         "--after needs a report of one run; for several, put results into each run's folder as eval.h5, mia.h5 and task.h5");
  AllGiven given;
  for (const std::string& path : config.before)
    read_results(path, [&](auto file) {
      check_before(file, runs);
      std::get<Given<decltype(file)>>(given).before.push_back(std::move(file));
    });
  for (const std::string& path : config.after)
    read_results(path, [&](auto file) { std::get<Given<decltype(file)>>(given).after.push_back(std::move(file)); });
  for (ReportRun& run : runs) {
    run.checkpoints = named_checkpoints(run.folder);
    attach(kEvaluations, given, read_in_run_evaluations(run), run);
    attach(kAttacks, given, {}, run);
    attach(kTasks, given, {}, run);
  }
}

}  // namespace expunge
