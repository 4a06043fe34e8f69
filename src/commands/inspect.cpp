// `expunge inspect`: prints the content of files that expunge reads and writes.
#include "commands/inspect.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <span>
#include <vector>

#include "cli/values.h"
#include "commands/shared_options.h"
#include "core/log.h"
#include "core/standard_streams.h"
#include "core/text.h"
#include "data/label_file.h"
#include "data/token_file.h"
#include "expunge/error.h"
#include "io/content_kind.h"
#include "io/files.h"
#include "io/hash.h"
#include "io/hdf5_seal.h"
#include "io/json.h"
#include "io/model_folder.h"
#include "model/llama_config.h"
#include "run/conditions.h"
#include "run/history.h"
#include "run/provenance.h"
#include "run/results/eval.h"
#include "run/results/evaluations.h"
#include "run/results/mia.h"
#include "run/results/reference.h"
#include "run/results/task.h"
#include "run/run_folder.h"
#include "run/step_metrics.h"
#include "store/checkpoint.h"

namespace expunge {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kRowsShown = 10;

void show_tensors(const std::map<std::string, TensorInfo>& tensors) {
  for (const auto& [name, info] : tensors) print_result("  {:<56} {:<5} {}\n", name, info.dtype, fmt::join(info.shape, " x "));
}

void show_safetensors(const fs::path& path) {
  const SafetensorsFile file(path);
  print_result("safetensors file, {}, {} tensors\n", format_bytes(static_cast<double>(file.bytes())), file.tensors().size());
  show_tensors(file.tensors());
}

void show_info(const CheckpointInfo& info) {
  print_result("  step {} of {}, {} sequences seen, {} a step\n", info.step, info.total_steps, info.samples, info.global_batch);
  print_result("  written {} on {} by {}, expunge {}, {}\n", info.written, info.host, counted(info.world_size, "rank"),
               info.version, info.dtype);
  print_result("  chosen: device {}, comm {}, gather {}, recompute {}\n", info.device, info.comm, info.gather, info.recompute);
  print_result("  model_sha256  {}\n  tokens_sha256 {}\n", info.model_sha256, info.tokens_sha256);
}

/// Shows the runs that the run began from, oldest first.
void show_history(const std::vector<FormerRun>& history) {
  for (const FormerRun& run : history)
    print_result("  began from    {}, step {} of {}\n                sha256 {}\n", run.from, run.step,
                 describe_work(run.options()), run.sha256);
}

/// Shows the record of a model that `expunge export` wrote.
void show_export(const fs::path& record) {
  const JsonObject made = read_export_record(record);
  print_result("  exported from {}, step {}\n                sha256 {}\n", made.string("checkpoint"), made.integer("step", 0),
               made.string("checkpoint_sha256"));
  show_history(history_of_record(made));
  print_result("options\n{}", made.string("config"));
}

void show_model(const fs::path& folder) {
  const LlamaConfig config = read_llama_config(folder / "config.json");
  print_result("model folder, {:.2f} M parameters\n", static_cast<double>(config.parameter_count()) / 1e6);
  print_result("  {} layers, hidden {}, {} query and {} key-value heads of {}, feed-forward {}, vocabulary {}, {} embeddings\n",
               config.num_hidden_layers, config.hidden_size, config.num_attention_heads, config.num_key_value_heads,
               config.head_dim, config.intermediate_size, config.vocab_size, config.tie_word_embeddings ? "tied" : "untied");
  print_result("  rope_theta {}, rms_norm_eps {}, dtype {}\n", config.rope_theta, config.rms_norm_eps,
               dtype_name(config.torch_dtype));
  const ModelFolder model = open_model(config, folder);
  for (const SafetensorsFile& file : model.files()) {
    print_result("{}, {}\n", file.path().filename().string(), format_bytes(static_cast<double>(file.bytes())));
    show_tensors(file.tensors());
  }
  if (fs::exists(folder / kExportRecord)) show_export(folder / kExportRecord);
}

/// Shows the hash that identifies the checkpoint and covers all its files.
void show_hash(const fs::path& checkpoint) {
  if (fs::exists(checkpoint / kManifest)) print_result("  sha256        {}\n", sha256_file(checkpoint / kManifest));
}

void show_damage(const fs::path& checkpoint, const std::string& damage) {
  if (damage.empty()) return;
  const fs::path run = whole_path(checkpoint).parent_path().parent_path();
  print_result("  DAMAGED: {}; a resume skips it, `expunge verify {}` reads every file\n", damage, run.string());
}

void show_objects(const Hdf5File& file, const std::string& group) {
  for (const std::string& name : file.children(group))
    print_result("  {:<68} {}\n", group + "/" + name, fmt::join(file.shape(group + "/" + name), " x "));
}

void show_checkpoint(const fs::path& folder) {
  const CheckpointReader reader(folder);
  print_result("checkpoint\n");
  show_info(reader.info());
  show_history(parse_history(reader.info().history, folder.string()));
  show_hash(folder);
  show_damage(folder, visible_damage(folder));
  const Hdf5File file = Hdf5File::open_index(folder / "checkpoint.h5");
  for (const char* group : {"/parameters", "/exp_avg", "/exp_avg_sq"}) show_objects(file, group);
  print_result("options\n{}", reader.info().config);
}

void show_metrics(const fs::path& path) {
  const Hdf5File file = open_sealed(path);
  const std::vector<StepMetrics> steps = read_step_metrics(file);
  print_result("metrics of {}{}; columns: {}\n", counted(steps.size(), "step"),
               steps.size() > kRowsShown ? fmt::format(", here the last {}", kRowsShown) : "",
               fmt::join(file.children("/train"), ", "));
  print_result("{:>10}{:>14}{:>14}{:>16}{:>14}\n", "step", "loss", "grad norm", "learning rate", "tokens/s");
  for (const StepMetrics& step : std::span(steps).last(std::min(steps.size(), kRowsShown)))
    print_result("{:>10}{:>14.6g}{:>14.4g}{:>16.4g}{:>14.0f}\n", step.step, step.loss, step.grad_norm, step.learning_rate,
                 step.tokens_per_second);
}

void show_run(const fs::path& folder) {
  const RunFolder run{folder};
  print_result("run folder\noptions\n{}", run.read_config());
  const auto checkpoints = list_checkpoints(run.checkpoints());
  print_result("{}\n", counted(checkpoints.size(), "checkpoint"));
  for (const fs::path& path : checkpoints) {
    print_result("{}\n", path.filename().string());
    std::string damage = visible_damage(path);
    try {
      const CheckpointInfo info = CheckpointReader(path).info();
      show_info(info);
      show_history(parse_history(info.history, path.string()));
      show_hash(path);
    } catch (const Error& error) {
      if (damage.empty()) damage = error.what();
    }
    show_damage(path, damage);
  }
  if (fs::exists(run.metrics())) show_metrics(run.metrics());
}

void show_conditions(const Hdf5File& file, const Conditions& conditions) {
  print_result("  {:<24} {}\n", "model_sha256", file.read_attribute<std::string>("/", "model_sha256"));
  for (const Condition& condition : conditions)
    print_result("  {:<24} {}\n", condition.name, condition.value.empty() ? "unknown" : condition.value);
}

void show_evaluation(const fs::path& path) {
  const Hdf5File file = Hdf5File::open(path);
  const auto text = [&](const char* name) { return file.read_attribute<std::string>("/", name); };
  print_result("evaluation of {} on {}\n", text("model"), text("tokens"));
  show_conditions(file, evaluation_conditions(file));
  for (const auto& [split, found] : read_evaluation(file)) {
    std::vector<std::string> values;
    for (const Metric& metric : metrics())
      values.push_back(fmt::format("{} {}", metric.heading, metric.text(found[metric.name])));
    print_result("  {:<24} {} sequences, {} tokens: {}\n", split, found.sequences, found.targets, fmt::join(values, ", "));
  }
}

void show_membership(const fs::path& path) {
  const Hdf5File file = Hdf5File::open(path);
  const StoredMembership found = read_membership(file);
  print_result("membership inference on {}: {} against {} of {}\n", found.model, found.members, found.non_members,
               found.tokens);
  show_conditions(file, membership_conditions(file));
  for (const StoredAttack& attack : found.attacks) {
    print_result("  {:<24} AUC {:.3f} ({:.3f} to {:.3f}), TPR at 1 % {:.1f} %, best accuracy {:.1f} %", attack.name, attack.auc,
                 attack.auc_low, attack.auc_high, 100 * attack.high.tpr_at_1, 100 * attack.high.best_accuracy);
    if (attack.low)
      print_result("; members scored low: {:.1f} %, {:.1f} %", 100 * attack.low->tpr_at_1, 100 * attack.low->best_accuracy);
    print_result("\n");
  }
  if (!found.resampled_by.empty())
    print_result("intervals by {}; left out because they are on both sides: {} members, {} non-members\n", found.resampled_by,
                 found.members_on_both_sides, found.non_members_on_both_sides);
}

void show_tasks(const fs::path& path) {
  const Hdf5File file = Hdf5File::open(path);
  const StoredTasks found = read_tasks(file);
  print_result("answers of {} to {}, {} examples a question\n", found.model, found.tasks, found.num_fewshot);
  show_conditions(file, task_conditions(file));
  for (const StoredTask& task : found.results) {
    std::vector<std::string> rates;
    for (const StoredRate& rate : task.rates) rates.push_back(fmt::format("{} {:.2f} %", rate.label, 100 * rate.share));
    print_result("  {:<36} {} items: {}\n", task.name, task.items, fmt::join(rates, ", "));
  }
}

void show_shared_text(const TokenFile& file) {
  const std::optional<Duplicates> duplicates = file.duplicates();
  if (!duplicates) {
    print_result("text that splits share is not recorded: an earlier version wrote the file\n");
    return;
  }
  const double threshold = duplicates->near_threshold;
  print_result("text that splits share{}; {}\n", duplicates->shared.empty() ? ": none" : "",
               threshold > 0 ? fmt::format("documents are nearly equal from a similarity of {} on", threshold)
                             : "nearly equal documents were not counted");
  if (duplicates->shared.empty()) return;
  print_result("{:<28}{:<28}{:>12}{:>14}{:>12}\n", "of", "also in", "documents", "nearly equal", "sequences");
  for (const SharedText& pair : duplicates->shared)
    print_result("{:<28}{:<28}{:>12}{:>14}{:>12}\n", pair.split, pair.other, pair.documents,
                 threshold > 0 ? std::to_string(pair.near_documents) : "-", pair.sequences);
}

void show_tokens(const fs::path& path) {
  const TokenFile file(path);
  const TokenFileInfo& info = file.info();
  print_result("token file, sequences of at most {} ids, vocabulary {}\n  tokenizer_sha256 {}\n", info.max_length,
               info.vocabulary_size, info.tokenizer_sha256);
  print_result("{:<28}{:>12}{:>12}{:>14}{:>10}\n", "split", "documents", "sequences", "tokens", "dropped");
  for (const std::string& domain : file.domains()) {
    for (const std::string& split : file.splits(domain)) {
      const std::string name = domain + "/" + split;
      const SplitCounts counts = file.counts(name);
      print_result("{:<28}{:>12}{:>12}{:>14}{:>10}\n", name, counts.documents, counts.sequences, counts.tokens, counts.dropped);
    }
  }
  show_shared_text(file);
}

void show_in_run_evaluations(const fs::path& path) {
  const Hdf5File file = Hdf5File::open(path);
  const std::vector<EvaluationRow> rows = read_evaluations(file);
  std::vector<std::int64_t> steps;
  for (const EvaluationRow& row : rows) steps.push_back(row.step);
  print_result("evaluations inside a run, {} of them, after steps {}\n", steps.size(), fmt::join(steps, ", "));
  if (rows.empty()) return;
  for (const auto& [split, last] : rows.back().splits)
    for (const Metric& metric : metrics()) {
      std::vector<std::string> values;
      for (const EvaluationRow& row : rows) values.push_back(metric.text(row.splits.at(split)[metric.name]));
      print_result("  {:<24} {} {}\n", split, metric.heading, fmt::join(values, ", "));
    }
}

/// Shows labels.h5, or labels of another program. The latter do not record a version of expunge.
void show_labels(const fs::path& path) {
  const LabelOrigin origin = read_label_origin(path);
  print_result("{}\n", origin.version.empty() ? "labels of another program, for --labels" : "stored by a method for its run");
  if (origin.tokens_sha256.empty()) print_result("  no tokens_sha256: their token file is unknown\n");
  for (const auto& [name, hash] : {std::pair("model_sha256", origin.model_sha256), {"tokens_sha256", origin.tokens_sha256}})
    if (!hash.empty()) print_result("  {:<13} {}\n", name, hash);
  for (const auto& [split, labels, targets, sequences] : list_labels(Hdf5File::open(path)))
    print_result("  {:<24} {} labels, {} of them targets, in {} sequences\n", split, labels, targets, sequences);
}

void show_reference(const fs::path& path) {
  const Hdf5File file = Hdf5File::open(path);
  print_result("stored by a method for its run\n");
  for (const char* name : {"model_sha256", "tokens_sha256"})
    print_result("  {:<13} {}\n", name, file.read_attribute<std::string>("/", name));
  for (const auto& [split, sequences] : list_reference_nll(file))
    print_result("  {:<24} summed nll of {} sequences under the original model\n", split, sequences);
}

/// Shows a file or folder.
using Show = void (*)(const fs::path&);

Show way_to_show_hdf5(const fs::path& path) {
  const Hdf5File file = open_sealed(path);
  if (file.has_attribute("/", "vocabulary_size")) return show_tokens;
  if (file.exists("/train")) return show_metrics;
  if (file.exists("/parameters")) return [](const fs::path& index) { show_checkpoint(index.parent_path()); };
  if (is_membership(file)) return show_membership;
  if (is_tasks(file)) return show_tasks;
  if (file.exists("/eval")) return show_in_run_evaluations;
  if (!list_reference_nll(file).empty()) return show_reference;
  if (!list_labels(file).empty()) return show_labels;
  if (file.has_attribute("/", "model_sha256")) return show_evaluation;
  fail(ExitCode::bad_input,
       fmt::format(
           "{}: is an HDF5 file, but not of expunge (tokens, labels, metrics, checkpoint, evaluation, membership, tasks)",
           path.string()));
}

bool has_hdf5_signature(const fs::path& path) {
  std::string start(8, '\0');
  return InputFile(path).read(start) == start.size() && start == "\x89HDF\r\n\x1a\n";
}

Show way_to_show(const fs::path& path) {
  if (!fs::exists(path)) fail(ExitCode::bad_input, fmt::format("{}: does not exist", whole_path(path).string()));
  if (fs::exists(path / "checkpoint.h5")) return show_checkpoint;
  if (fs::exists(path / "config") && fs::exists(path / "checkpoints")) return show_run;
  if (fs::exists(path / "config.json")) return show_model;
  if (fs::is_directory(path))
    fail(ExitCode::bad_input, fmt::format("{}: not a run, checkpoint or model folder", path.string()));
  if (path.extension() == ".safetensors") return show_safetensors;
  if (has_hdf5_signature(path)) return way_to_show_hdf5(path);
  refuse_mistaken(path);
  fail(ExitCode::bad_input,
       fmt::format("{}: cannot be shown; expected a run, checkpoint or model folder, a .safetensors file, or "
                   "an HDF5 file of expunge (.h5)",
                   path.string()));
}

}  // namespace

int inspect(const fs::path& path) {
  const Show show = way_to_show(path);
  print_result("{}: ", path.string());
  show(path);
  return static_cast<int>(ExitCode::done);
}

OptionTable inspect_options(InspectConfig& config) {
  OptionTable table("inspect");
  table.group("Argument", {positional(path("path", "FILE_OR_DIR", FileUse::model, config.path, "file or folder to show"))});
  table.group("Options", {config_option(), print_config_option()});
  return table;
}

Command inspect_command() {
  return command<InspectConfig>("inspect", "Shows the content of a checkpoint, metrics, token or model file or folder.",
                                "expunge inspect output/unlearn", Ranks::one, inspect_options,
                                [](InspectConfig& config, const OptionTable&) { return inspect(config.path); });
}

}  // namespace expunge
