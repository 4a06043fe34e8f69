// Collecting what a report says of a run.
#include "train/report_run.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <cmath>
#include <string_view>

#include "expunge/core/error.h"
#include "expunge/data/token_file.h"
#include "expunge/io/files.h"
#include "expunge/io/hash.h"
#include "expunge/io/hdf5_seal.h"
#include "expunge/model/llama_config.h"
#include "expunge/train/evaluation_file.h"
#include "expunge/train/run_folder.h"
#include "train/checkpoint_files.h"
#include "train/resolved_config.h"
#include "train/stop_condition.h"

namespace expunge {
namespace {

namespace fs = std::filesystem;

ReportEvaluation read_report_evaluation(const Hdf5File& file) {
  for (const char* name : {"model", "model_sha256", "tokens_sha256", "dtype"})
    if (!file.has_attribute("/", name))
      fail(ExitCode::bad_input, fmt::format("{}: not an evaluation of expunge eval, mia or task (it has no attribute '{}')",
                                            file.path().string(), name));
  return {file.path(), file.read_attribute<std::string>("/", "model"), file.read_attribute<std::string>("/", "model_sha256"),
          evaluation_conditions(file), read_evaluation(file)};
}

/// The newest checkpoint whose manifest and index can be read. Checksums are not verified: a report reads no weights.
void read_checkpoint(const RunFolder& folder, ReportRun& run) {
  const std::vector<fs::path> all = list_checkpoints(folder.checkpoints());
  for (const fs::path& path : all) {
    try {
      read_manifest(path);
      run.checkpoint = CheckpointReader(path).info();
      run.checkpoint_folder = path;
      break;
    } catch (const Error& error) {
      run.notes.push_back(fmt::format("Checkpoint {} cannot be read: {}", path.filename().string(), error.what()));
    }
  }
  if (!run.checkpoint && !all.empty())
    run.notes.push_back(
        "No checkpoint of the run can be read, so its hashes and steps are not known. What is said of its model is what files "
        "of "
        "earlier evaluations hold.");
  else if (!run.checkpoint)
    run.notes.push_back(
        "The run has no checkpoint yet, so nothing can be said of the model that it makes: start its command again to go on.");
  else if (run.checkpoint->step < run.checkpoint->total_steps)
    run.notes.push_back(fmt::format("The run is unfinished, step {} of {}: start its command again to resume.",
                                    run.checkpoint->step, run.checkpoint->total_steps));
}

void read_metrics(const fs::path& path, ReportRun& run) {
  if (!fs::exists(path)) {
    run.notes.push_back("No metrics.h5, hence no trajectories and no compute: the run has not made a step.");
    return;
  }
  const Hdf5File file = open_sealed(path);
  Trajectory t;
  const std::vector<std::int64_t> steps = file.read_all<std::int64_t>("/train/step");
  t.step.assign(steps.begin(), steps.end());
  t.loss = file.read_all<double>("/train/loss");
  t.loss_forget = file.read_all<double>("/train/loss_forget");
  t.loss_retain = file.read_all<double>("/train/loss_retain");
  const auto tokens = file.read_all<std::int64_t>("/train/tokens"), memory = file.read_all<std::int64_t>("/train/memory_bytes");
  const auto speed = file.read_all<double>("/train/tokens_per_second");
  for (const std::size_t rows : {t.loss.size(), t.loss_forget.size(), t.loss_retain.size(), tokens.size(), speed.size()})
    if (rows != steps.size())
      fail(ExitCode::bad_input, fmt::format("{}: columns of /train differ in length ({} and {} rows): the file is damaged",
                                            path.string(), steps.size(), rows));
  for (std::size_t i = 0; i < steps.size(); ++i) {
    t.tokens += static_cast<double>(tokens[i]);
    if (speed[i] > 0) t.seconds += static_cast<double>(tokens[i]) / speed[i];
  }
  for (const std::int64_t bytes : memory) t.memory_bytes = std::max(t.memory_bytes, bytes);
  run.trajectory = std::move(t);
}

/// A run that made all its steps without reaching its --stop-at; `start` and `end` are its first evaluation and the one after
/// `last_step`.
void note_unmet_condition(const SplitTable& start, const SplitTable& end, std::int64_t last_step, ReportRun& run) {
  const std::string text = run.option("stop-at");
  const bool ended = run.checkpoint && run.checkpoint->step == run.checkpoint->total_steps && run.checkpoint->step == last_step;
  if (text.empty() || !ended) return;
  StopCondition condition = [&] {
    try {
      return parse_stop_condition(text);
    } catch (const Error& error) {
      fail(ExitCode::bad_input, fmt::format("{}: {}", RunFolder{run.folder}.config().string(), error.what()));
    }
  }();
  for (StopCondition::Figure* figure : {&condition.left, &condition.right})
    if (!figure->split.empty()) figure->split = full_split_name(run.domain(), figure->split);
  const auto value = [&](const StopCondition::Figure& figure) { return value_of(figure, figure.at_start ? start : end); };
  if (!condition.holds(value))
    run.notes.push_back(fmt::format("--stop-at \"{}\" was not reached in {} steps: {}.", text, run.checkpoint->step,
                                    condition.standing(value)));
}

/// What --eval-steps wrote. Its rows before the first step and after the last stand for the evaluations of the original model
/// and of the run's, where those are not given and all sequences were used.
void read_in_run_evaluations(const RunFolder& folder, ReportRun& run) {
  if (!fs::exists(folder.evaluations())) return;
  const Hdf5File file = open_sealed(folder.evaluations());
  const std::vector<std::int64_t> steps = file.read_all<std::int64_t>("/eval/step");
  if (steps.empty()) return;
  // With --stop-at the state that is kept may be followed by others.
  const auto kept = static_cast<std::size_t>(run.checkpoint ? std::ranges::find(steps, run.checkpoint->step) - steps.begin()
                                                            : std::ssize(steps));
  InRunEvaluations found{{steps.begin(), steps.end()}, {}};
  ReportEvaluation first{folder.evaluations(), run.option("model"), {}, {}, {}}, last = first;
  SplitTable end;
  for (const std::string& domain : file.children("/eval")) {
    if (!file.is_group("/eval/" + domain)) continue;
    for (const std::string& split : file.children("/eval/" + domain)) {
      const std::string name = domain + "/" + split;
      const auto column = [&](const char* figure) {
        const std::string dataset = fmt::format("/eval/{}/{}", name, figure);
        const std::vector<double> values = file.read_all<double>(dataset);
        if (values.size() != steps.size())
          fail(ExitCode::bad_input, fmt::format("{}: {}: expected {} rows, as /eval/step has, found {}", file.path().string(),
                                                dataset, steps.size(), values.size()));
        return values;
      };
      const auto perplexity = column("perplexity"), per_token = column("token_perplexity"), accuracy = column("accuracy");
      first.splits[name] = {perplexity.front(), per_token.front(), accuracy.front(), 0, 0, NAN};
      if (kept < steps.size()) last.splits[name] = {perplexity[kept], per_token[kept], accuracy[kept], 0, 0, NAN};
      end[name] = {perplexity.back(), per_token.back(), accuracy.back(), 0, 0};
      found.perplexity[name] = perplexity;
    }
  }
  run.evaluations = std::move(found);
  note_unmet_condition(first.splits, end, steps.back(), run);
  if (!run.checkpoint || (run.before && run.after)) return;
  if (const std::string most = run.option("max-eval-samples"); most != "0") {
    run.notes.push_back(
        fmt::format("{} is of the first {} sequences of each split only (--max-eval-samples), so it does not stand in for an "
                    "evaluation of the original model or of the run's.",
                    folder.evaluations().string(), most));
    return;
  }
  first.model_sha256 = run.checkpoint->model_sha256;
  first.conditions = last.conditions = {{"dtype", run.checkpoint->dtype},
                                        {"device", device_of_run(run.checkpoint->libraries)},
                                        {"tokens_sha256", run.checkpoint->tokens_sha256}};
  if (!run.before && steps.front() == 0) run.before = first;
  if (!run.after && kept < steps.size()) run.after = last;
}

/// Counts of the forget set and of what the run took of it, when the token file is still the one that the run used.
void read_counts(ReportRun& run) {
  const fs::path path = run.option("tokens");
  const std::string split = run.domain() + "/forget";
  if (run.domain().empty() || path.empty()) return;
  if (!fs::is_regular_file(path)) {
    run.notes.push_back(
        fmt::format("The token file {} is gone, so the documents of {} are not counted.", path.string(), split));
    return;
  }
  if (run.checkpoint && sha256_file(path) != run.checkpoint->tokens_sha256) {
    run.notes.push_back(fmt::format(
        "The token file {} is not the one that the run used (its SHA-256 differs), so the documents of {} are not counted.",
        path.string(), split));
    return;
  }
  const TokenFile tokens(path);
  if (!tokens.has(split)) return;
  run.forget_counts = tokens.counts(split);
  run.duplicates = tokens.duplicates();
  if (!run.checkpoint) return;
  const TokenSplit forget = tokens.split(split, static_cast<int>(tokens.info().vocabulary_size));
  const auto taken = forget_sequences_taken(run.options, forget.sequences(), run.checkpoint->samples);
  if (!taken) return;
  run.forget_taken = {taken->size(), 0};
  for (const std::size_t sequence : *taken) run.forget_taken->tokens += forget.length(sequence);
}

/// Whether an evaluation of this run's model is of a state that is gone: the run was started afresh or went on since.
bool is_outdated(const ReportRun& run, const std::string& model, const std::string& model_sha256) {
  if (model.empty() || model_sha256.empty()) return false;
  const fs::path place = fs::weakly_canonical(model).lexically_relative(fs::weakly_canonical(run.folder));
  if (place != "." && *place.begin() != "checkpoints") return false;
  return std::ranges::none_of(list_checkpoints(RunFolder{run.folder}.checkpoints()), [&](const fs::path& checkpoint) {
    const fs::path manifest = checkpoint / kManifest;
    return fs::exists(manifest) && sha256_file(manifest) == model_sha256;
  });
}

void read_evaluations(ReportRun& run) {
  const auto read = [&](const char* name, auto& place, auto reader) {
    if (!fs::exists(run.folder / name)) return;
    place = reader(open_sealed(run.folder / name));
    if (!is_outdated(run, place->model, place->model_sha256)) return;
    place.reset();
    run.notes.push_back(fmt::format(
        "{} is about a state of this run that is gone, and is left out: remove it, or make it anew with --overwrite.",
        (run.folder / name).string()));
  };
  read("eval-before.h5", run.before, read_report_evaluation);
  read("mia-before.h5", run.attacks_before, read_attacks);
  read("eval.h5", run.after, read_report_evaluation);
  read("mia.h5", run.attacks_after, read_attacks);
  read("task-before.h5", run.tasks_before, read_tasks);
  read("task.h5", run.tasks_after, read_tasks);
}

ReportRun read_run(const fs::path& folder, std::size_t number) {
  const RunFolder place{folder};
  if (!fs::is_directory(folder)) fail(ExitCode::bad_input, fmt::format("{}: not a folder", folder.string()));
  if (!fs::exists(place.config()) || !fs::is_directory(place.checkpoints()))
    fail(
        ExitCode::bad_input,
        fmt::format(
            "{}: not a run folder: expected a file 'config' and a folder 'checkpoints', as expunge train and unlearn make them",
            folder.string()));
  ReportRun run;
  run.label = fmt::format("R{}", number);
  run.folder = folder;
  run.config = place.read_config();
  try {
    for (const ConfigEntry& entry : read_config_text(run.config, place.config().string())) {
      std::string& value = run.options[entry.key];
      value += (value.empty() ? "" : ", ") + entry.value;
    }
  } catch (const Error& error) {
    fail(ExitCode::bad_input, error.what());  // here a file that is read, not what the user typed
  }
  if (fs::exists(place.model() / "config.json"))
    run.parameters = static_cast<double>(read_llama_config(place.model() / "config.json").parameter_count());
  else
    run.notes.push_back("No model/config.json, so the parameters, and with them the compute, are not known.");
  read_checkpoint(place, run);
  read_metrics(place.metrics(), run);
  read_counts(run);
  read_evaluations(run);
  return run;
}

/// Gives one file of --before to the runs that began from its model.
void attach_before(const fs::path& path, std::vector<ReportRun>& runs) {
  const auto attach = [&](const auto& content, auto place) {
    bool used = false;
    for (ReportRun& run : runs) {
      // A file that does not say whose it is, and a run that cannot say where it began, are taken at the user's word.
      const bool known = run.checkpoint && !content.model_sha256.empty();
      if (known && run.checkpoint->model_sha256 != content.model_sha256) continue;
      run.*place = content;
      used = true;
    }
    if (!used)
      fail(ExitCode::usage, fmt::format("--before {}: no run began from the model that this file is about (its model_sha256 is "
                                        "{}; the first run began from {})",
                                        path.string(), content.model_sha256, runs.front().checkpoint->model_sha256));
  };
  const Hdf5File file = open_sealed(path);
  if (holds_attacks(file))
    attach(read_attacks(file), &ReportRun::attacks_before);
  else if (holds_tasks(file))
    attach(read_tasks(file), &ReportRun::tasks_before);
  else
    attach(read_report_evaluation(file), &ReportRun::before);
}

/// A word of a command line that a shell takes as it is: people copy the commands, and names come from files.
std::string shell_word(const std::string& text) {
  const auto harmless = [](unsigned char c) {
    return std::isalnum(c) || std::string_view("_./:=@%+,-").find(static_cast<char>(c)) != std::string_view::npos;
  };
  if (!text.empty() && std::ranges::all_of(text, harmless)) return text;
  std::string word = "'";
  for (const char c : text) word += c == '\'' ? "'\\''" : std::string(1, c);
  return word + "'";
}

/// How the files on both sides were computed; of one alone, its own conditions beside nothing.
template <typename File>
std::vector<ConditionPair> paired(const std::optional<File>& before, const std::optional<File>& after) {
  return pair_conditions(before ? before->conditions : Conditions(), after ? after->conditions : Conditions());
}

void pair_files(ReportRun& run) {
  run.evaluated = paired(run.before, run.after);
  run.attacked = paired(run.attacks_before, run.attacks_after);
  run.asked = paired(run.tasks_before, run.tasks_after);
  if (run.before && run.after)
    for (const auto& [split, figures] : run.after->splits)
      if (const auto other = run.before->splits.find(split); other != run.before->splits.end())
        add_count(run.evaluated, "sequences of " + split, other->second.sequences, figures.sequences);
  if (run.attacks_before && run.attacks_after) {
    const ReportAttack &before = run.attacks_before->attacks.front(), &after = run.attacks_after->attacks.front();
    add_count(run.attacked, "members scored", before.members, after.members);
    add_count(run.attacked, "non-members scored", before.non_members, after.non_members);
  }
  if (run.tasks_before && run.tasks_after)
    for (const ReportTask& task : run.tasks_after->tasks)
      if (const auto other = std::ranges::find(run.tasks_before->tasks, task.name, &ReportTask::name);
          other != run.tasks_before->tasks.end())
        add_count(run.asked, "items of " + task.name, static_cast<std::uint64_t>(other->items),
                  static_cast<std::uint64_t>(task.items));
}

void note_missing(ReportRun& run) {
  const std::string folder = run.folder.string(), domain = run.domain().empty() ? "DOMAIN" : run.domain();
  const std::string tokens = run.option("tokens").empty() ? "TOKENS" : run.option("tokens");
  const std::string original = run.option("model").empty() ? "MODEL" : run.option("model");
  const auto command = [&](const char* what, const std::string& model, const std::string& output) {
    return fmt::format("expunge {} --model {} --tokens {} --domain {} --output {}", what, shell_word(model), shell_word(tokens),
                       shell_word(domain), shell_word(output));
  };
  if (!run.after && run.checkpoint)
    run.notes.push_back("The run's model has not been evaluated: " + command("eval", folder, folder + "/eval.h5"));
  if (!run.domain().empty()) {
    if (!run.before)
      run.notes.push_back("The original model has not been evaluated, so there is no comparison and no distance: " +
                          command("eval", original, "before.h5") + ", then give the report --before before.h5");
    if (!run.attacks_after && run.checkpoint)
      run.notes.push_back("No membership inference on the run's model: " + command("mia", folder, folder + "/mia.h5"));
  }
  if (run.after && !run.after->model_sha256.empty() && run.checkpoint && fs::exists(run.checkpoint_folder / kManifest) &&
      run.after->model_sha256 != sha256_file(run.checkpoint_folder / kManifest))
    run.notes.push_back(fmt::format(
        "{} is about {}, not about this run's newest checkpoint: an export of it, an older checkpoint or another model.",
        run.after->path.string(), run.after->model));
  if (run.before && run.checkpoint && run.before->model_sha256 != run.checkpoint->model_sha256)
    run.notes.push_back(fmt::format("{} is about {}, which is not the model that this run began from (SHA-256 differs).",
                                    run.before->path.string(), run.before->model));
}

}  // namespace

std::string ReportRun::option(const std::string& key) const {
  const auto found = options.find(key);
  return found == options.end() ? std::string() : found->second;
}

std::vector<ReportRun> read_report_runs(const ReportConfig& config) {
  std::vector<ReportRun> runs;
  for (const std::string& folder : config.runs) {
    // "runs/a/" and "runs/a" are one folder.
    const fs::path path = folder;
    runs.push_back(read_run(path.has_filename() ? path : path.parent_path(), runs.size() + 1));
  }
  for (const std::string& file : config.before) attach_before(file, runs);
  if (!config.after.empty() && runs.size() > 1)
    fail(ExitCode::usage,
         "--after needs a report of one run; of several, put each run's files into its folder as eval.h5, mia.h5 and task.h5");
  for (const std::string& path : config.after) {
    const Hdf5File file = open_sealed(path);
    if (holds_attacks(file))
      runs.front().attacks_after = read_attacks(file);
    else if (holds_tasks(file))
      runs.front().tasks_after = read_tasks(file);
    else
      runs.front().after = read_report_evaluation(file);
  }
  for (ReportRun& run : runs) {
    read_in_run_evaluations(RunFolder{run.folder}, run);
    note_missing(run);
    pair_files(run);
  }
  return runs;
}

}  // namespace expunge
