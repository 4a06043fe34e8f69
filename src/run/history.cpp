// Reads and writes records of earlier runs as JSON.
#include "run/history.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "core/log.h"
#include "expunge/error.h"
#include "io/files.h"
#include "io/hash.h"
#include "io/json.h"
#include "run/option_tables.h"
#include "run/provenance.h"
#include "store/checkpoint.h"

namespace expunge {
namespace {

namespace fs = std::filesystem;

/// The hash of a model from a record's hashes of its files, computed as in model_sha256().
std::string named_model(const JsonObject& files) {
  std::string lines, last;
  int weights = 0;
  for (const auto& [name, unused] : files.value().items()) {  // sorted by name
    if (!name.ends_with(".safetensors")) continue;
    last = files.string(name);
    lines += fmt::format("{}  {}\n", last, name);
    ++weights;
  }
  return weights == 1 ? last : sha256_text(lines);
}

/// The earlier runs from the expunge.json of an exported model.
std::vector<FormerRun> history_of_export(const fs::path& folder, const std::string& model_sha256) {
  const fs::path path = folder / kExportRecord;
  const JsonObject record = read_export_record(path);
  std::vector<FormerRun> history;
  if (named_model(JsonObject(record.at("files"), record.where())) != model_sha256) {
    log_warning(fmt::format("{}: belongs to other weights than those beside it, so the history of the model is not recorded",
                            path.string()));
    return history;
  }
  history = history_of_record(record);
  history.push_back({FormerRun::kExport, whole_path(folder).string(), sha256_file(path), record.integer("step", 0),
                     record.string("config"), record.string("model_sha256"), record.string("tokens_sha256")});
  return history;
}

}  // namespace

std::string history_text(const std::vector<FormerRun>& history) {
  if (history.empty()) return {};
  nlohmann::ordered_json list = nlohmann::ordered_json::array();
  for (const FormerRun& run : history)
    list.push_back({{"how", run.how},
                    {"from", run.from},
                    {"sha256", run.sha256},
                    {"step", run.step},
                    {"config", run.config},
                    {"model_sha256", run.model_sha256},
                    {"tokens_sha256", run.tokens_sha256}});
  return list.dump();
}

std::vector<FormerRun> parse_history(const std::string& text, const std::string& where) {
  std::vector<FormerRun> history;
  if (text.empty()) return history;
  const nlohmann::json list = parse_json(text, where);
  if (!list.is_array()) fail(ExitCode::bad_input, fmt::format("{}: history: expected a list of earlier runs", where));
  for (const nlohmann::json& entry : list) {
    const JsonObject run(entry, where + ": history");
    history.push_back({run.string("how"), run.string("from"), run.string("sha256"), run.integer("step", 0),
                       run.string("config"), run.string("model_sha256"), run.string("tokens_sha256")});
  }
  return history;
}

JsonObject read_export_record(const fs::path& path) {
  constexpr std::uint64_t kLimit = std::uint64_t{16} << 20;
  return {parse_json_file(path, kLimit), path.string()};
}

std::vector<FormerRun> history_of_record(const JsonObject& record) {
  if (!record.value().contains("history")) return {};
  return parse_history(record.at("history").dump(), record.where());
}

std::vector<FormerRun> history_of_checkpoint(const fs::path& checkpoint, const char* how) {
  const CheckpointInfo info = CheckpointReader(checkpoint).info();
  std::vector<FormerRun> history = parse_history(info.history, checkpoint.string());
  history.push_back({how, whole_path(checkpoint).string(), sha256_file(checkpoint / kManifest), info.step, info.config,
                     info.model_sha256, info.tokens_sha256});
  return history;
}

std::vector<FormerRun> history_of_model(const WeightsSource& source, const std::string& model_sha256) {
  if (source.kind == WeightsSource::Kind::checkpoint) return history_of_checkpoint(source.weights, FormerRun::kWeights);
  const bool exported = source.kind == WeightsSource::Kind::folder && fs::exists(source.weights / kExportRecord);
  return exported ? history_of_export(source.weights, model_sha256) : std::vector<FormerRun>();
}

std::string checkpoint_of_export(const fs::path& record, const std::string& model_sha256) {
  const JsonObject content = read_export_record(record);
  const bool is_of_it = model_sha256.empty() || named_model(JsonObject(content.at("files"), content.where())) == model_sha256;
  return is_of_it ? content.string("checkpoint_sha256") : std::string();
}

RunOptions FormerRun::options() const { return read_run_options(config, from); }

std::string method_of(const RunOptions& options) { return options.command == "train" ? "train" : options.method.name; }

std::string describe_work(const RunOptions& options) {
  const InputOptions& input = options.input;
  return fmt::format("{} on {}", method_of(options),
                     input.domain.empty() ? fmt::format("{}", fmt::join(input.splits, ", ")) : input.domain);
}

std::string original_model(const RunOptions& options) {
  return options.input.model.empty() ? options.input.init_config.string() : options.input.model.string();
}

}  // namespace expunge
