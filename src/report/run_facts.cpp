// Reads a run for the report.
#include "report/run_facts.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <string_view>

#include "core/text.h"
#include "data/token_file.h"
#include "expunge/error.h"
#include "io/hash.h"
#include "io/hdf5_seal.h"
#include "model/llama_config.h"
#include "report/evaluations.h"
#include "report/options.h"
#include "run/config_changes.h"
#include "run/option_tables.h"
#include "run/run_folder.h"
#include "run/step_metrics.h"
#include "store/checkpoint_files.h"

namespace expunge {
namespace {

namespace fs = std::filesystem;

/// Reads the newest checkpoint whose manifest and index can be read, without checksums, because a report reads no weights.
void read_checkpoint(const RunFolder& folder, ReportRun& run) {
  const std::vector<fs::path> all = list_checkpoints(folder.checkpoints());
  run.has_checkpoints = !all.empty();
  for (const fs::path& path : all) {
    try {
      read_manifest(path);
      const CheckpointInfo info = CheckpointReader(path).info();
      run.lineage = read_lineage(info, path.string());
      run.checkpoint = info;
      run.checkpoint_folder = path;
      run.checkpoint_sha256 = sha256_file(path / kManifest);
      break;
    } catch (const Error& error) {
      run.notes.push_back(fmt::format("Checkpoint {} cannot be read: {}", path.filename().string(), error.what()));
    }
  }
  if (!run.checkpoint && !all.empty())
    run.notes.push_back(
        "No checkpoint of the run can be read, so its hashes and steps are unknown. The report on its model uses only files of "
        "earlier evaluations.");
  else if (!run.checkpoint)
    run.notes.push_back(
        "The run has no checkpoint yet, so there are no results of its model: start its command again to continue.");
  else if (run.checkpoint->step < run.checkpoint->total_steps)
    run.notes.push_back(fmt::format("The run is unfinished, step {} of {}: start its command again to resume.",
                                    run.checkpoint->step, run.checkpoint->total_steps));
}

void read_metrics(const fs::path& path, ReportRun& run) {
  if (!fs::exists(path)) {
    run.notes.push_back("No metrics.h5, so there are no trajectories and no compute: the run has not taken a step.");
    return;
  }
  Trajectory t;
  for (const StepMetrics& step : read_step_metrics(open_sealed(path))) {
    t.step.push_back(static_cast<double>(step.step));
    t.loss.push_back(step.loss);
    t.loss_forget.push_back(step.loss_forget);
    t.loss_retain.push_back(step.loss_retain);
    t.tokens += static_cast<double>(step.tokens);
    if (step.tokens_per_second > 0) t.seconds += static_cast<double>(step.tokens) / step.tokens_per_second;
    t.memory_bytes = std::max(t.memory_bytes, step.memory_bytes);
  }
  run.trajectory = std::move(t);
}

/// Reads the options from the checkpoint that they made, because the file `config` may have been edited since.
void read_options(const RunFolder& folder, ReportRun& run) {
  const std::string edited = folder.read_config();
  run.config = run.checkpoint ? run.checkpoint->config : edited;
  if (!run.checkpoint) {
    run.options = read_run_options(run.config, folder.config().string());
    return;
  }
  run.options = read_run_options(run.config, run.checkpoint_folder.string() + ": config");
  std::vector<std::string> differing;
  for (const Difference& option : edited_options(run.checkpoint->config, edited))
    differing.push_back(fmt::format("{} = {}, in the file {}", option.key, option.before, option.after));
  if (!differing.empty())
    run.notes.push_back(fmt::format("{} differs from the options of the newest checkpoint, which this report uses: {}.",
                                    folder.config().string(), fmt::join(differing, "; ")));
}

/// Reads the counts of the run's splits, and of the sequences that it trained on, unless the token file changed since.
void read_counts(ReportRun& run) {
  const fs::path& path = run.options.input.tokens;
  if (path.empty()) return;
  const auto note = [&](const char* what) {
    run.notes.push_back(fmt::format(
        "The token file {} {}, so the numbers of documents and the text that splits share are unknown.", path.string(), what));
  };
  if (std::error_code none; !fs::is_regular_file(path, none)) return note("is gone");
  if (run.checkpoint && sha256_file(path) != run.checkpoint->tokens_sha256)
    return note("is not the one that the run used (its SHA-256 differs)");
  const TokenFile tokens(path);
  for (const std::string& domain : tokens.domains())
    for (const std::string& split : tokens.splits(domain)) run.token_splits.insert(domain + "/" + split);
  run.duplicates = tokens.duplicates();
  const std::string split = run.domain() + "/forget";
  if (!run.token_splits.contains(split)) return;
  run.forget_counts = tokens.counts(split);
  // Adopted steps of another run took other sequences.
  if (!run.checkpoint || run.lineage.adopted_steps() > 0) return;
  const TokenSplit forget = tokens.split(split, static_cast<int>(tokens.info().vocabulary_size));
  const auto taken = forget_sequences_taken(run.options, forget.sequences(), run.checkpoint->samples);
  if (!taken) return;
  run.forget_taken = {taken->size(), 0};
  for (const std::size_t sequence : *taken) run.forget_taken->tokens += forget.length(sequence);
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
  read_checkpoint(place, run);
  read_options(place, run);
  if (fs::exists(place.model() / "config.json"))
    run.parameters = static_cast<double>(read_llama_config(place.model() / "config.json").parameter_count());
  else
    run.notes.push_back("No model/config.json, so the number of parameters and the compute are unknown.");
  read_metrics(place.metrics(), run);
  read_counts(run);
  return run;
}

/// `path` if it exists, else the word `otherwise`.
std::string path_or(const std::string& path, const char* otherwise) {
  std::error_code none;
  return !path.empty() && fs::exists(path, none) ? path : otherwise;
}

void note_missing(ReportRun& run) {
  const std::string folder = run.folder.string(), domain = run.domain().empty() ? "DOMAIN" : run.domain();
  const std::string tokens = run.token_splits.empty() ? "TOKENS" : run.options.input.tokens.string();
  const auto command = [&](const char* what, const std::string& model, const std::string& output) {
    return fmt::format("expunge {} --model {} --tokens {} --domain {} --output {}", what, shell_word(model), shell_word(tokens),
                       shell_word(domain), shell_word(output));
  };
  if (!run.after && run.checkpoint)
    run.notes.push_back("The run's model has not been evaluated: " + command("eval", folder, folder + "/eval.h5"));
  if (run.domain().empty()) return;
  if (!run.before)
    run.notes.push_back("The original model has not been evaluated, so there is no comparison and no distance: " +
                        command("eval", path_or(run.original_model(), "MODEL"), "before.h5") +
                        ", then give the report --before before.h5");
  if (!run.attacks_after && run.checkpoint)
    run.notes.push_back("No membership inference on the run's model: " + command("mia", folder, folder + "/mia.h5"));
}

}  // namespace

std::string ReportRun::original_model() const {
  return lineage.original < lineage.former.size() ? lineage.former[lineage.original].options().input.model.string()
                                                  : options.input.model.string();
}

std::string ReportRun::uncounted_work() const {
  const bool whole = trajectory && !trajectory->step.empty() && trajectory->step.front() == 1;
  return lineage.work(lineage.original, std::max(lineage.original, whole ? lineage.before_state() : lineage.former.size()));
}

std::string ReportRun::incomparable() const {
  std::vector<std::string> reasons;
  for (const auto* file : {&before, &after})
    if (*file && (*file)->origin.is_other())
      reasons.push_back(fmt::format("{} is of {}", (*file)->path.string(), (*file)->origin.other));
  if (std::string differing = differences(evaluated); !differing.empty()) reasons.push_back(std::move(differing));
  return fmt::format("{}", fmt::join(reasons, "; "));
}

bool ReportRun::attacked_other_texts() const {
  if (!attacks_after) return false;
  const std::string members = value_of(attacks_after->conditions, "members");
  const std::string non_members = value_of(attacks_after->conditions, "non_members");
  const std::string of = domain().empty() ? members.substr(0, members.rfind('/')) : domain();
  return (!members.empty() && members != of + "/forget") || (!non_members.empty() && non_members != of + "/approximate");
}

std::vector<ReportRun> read_report_runs(const ReportConfig& config) {
  std::vector<ReportRun> runs;
  for (const std::string& folder : config.runs) {
    // "runs/a/" and "runs/a" are one folder.
    const fs::path path = folder;
    runs.push_back(read_run(path.has_filename() ? path : path.parent_path(), runs.size() + 1));
  }
  attach_results(config, runs);
  for (ReportRun& run : runs) note_missing(run);
  return runs;
}

}  // namespace expunge
