// `expunge verify` of an exported model: its files, its checkpoint, and the runs that it came from.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "commands/verify_findings.h"
#include "io/files.h"
#include "io/json.h"
#include "io/model_folder.h"
#include "io/safetensors.h"
#include "model/llama.h"
#include "run/provenance.h"
#include "store/checkpoint.h"
#include "store/checkpoint_files.h"

namespace expunge {
namespace {

namespace fs = std::filesystem;

/// The first tensor that differs from the checkpoint's, rounded to the stored type; empty if all are equal.
std::string other_weights(const CheckpointReader& reader, const fs::path& folder, DType stored) {
  constexpr std::size_t kPiece = std::size_t{1} << 22;
  const LlamaConfig config = read_llama_config(folder / "config.json");
  const ModelFolder model = open_model(config, folder);
  std::vector<double> expected, found;
  for (const UnitLayout& unit : llama_units(config, 1))
    for (const ParameterView& view : unit.views())
      for (std::size_t first = 0; first < view.size; first += kPiece) {
        const std::size_t count = std::min(kPiece, view.size - first);
        expected.resize(count);
        found.resize(count);
        reader.read<double>("parameters", view, first, expected);
        model.read(view.name, first, count, found.data());
        const auto same = [&](double written, double read) {
          return as_stored(written, stored) == read || (std::isnan(written) && std::isnan(read));
        };
        if (!std::ranges::equal(expected, found, same)) return view.name;
      }
  return {};
}

/// Compares the record and the weights with the checkpoint.
void check_against_checkpoint(const JsonObject& made, const fs::path& folder, const fs::path& checkpoint, Findings& findings) {
  const CheckpointReader reader(checkpoint);
  const CheckpointInfo& info = reader.info();
  const std::string record = (folder / kExportRecord).string();
  bool same = true;
  const auto hold = [&](const char* key, const auto& says, const auto& is) {
    if (says == is) return;
    same = false;
    findings.mismatch(fmt::format("{}: {} is not that of the checkpoint", record, key));
  };
  hold("step", made.integer("step", 0), info.step);
  hold("restarts", made.integer("restarts", 0), info.restarts);
  // Earlier versions recorded only the step.
  if (made.value().contains("total_steps")) hold("total_steps", made.integer("total_steps", 0), info.total_steps);
  hold("config", made.string("config"), info.config);
  hold("model_sha256", made.string("model_sha256"), info.model_sha256);
  hold("tokens_sha256", made.string("tokens_sha256"), info.tokens_sha256);
  hold("history", history_text(history_of_record(made)), info.history);
  if (same) findings.fine(fmt::format("{}: step, options and history are those of the checkpoint", record));
  const std::string other = other_weights(reader, folder, parse_dtype(made.string("dtype")));
  if (other.empty())
    findings.fine(fmt::format("{}: the weights are those of the checkpoint", folder.string()));
  else
    findings.mismatch(fmt::format("{}: {} is not that of the checkpoint", folder.string(), other));
}

}  // namespace

ExitCode verify_export(const Runtime& runtime, const fs::path& folder) {
  const fs::path record = folder / kExportRecord;
  const JsonObject made = read_export_record(record);
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
  const bool there = fs::exists(checkpoint / kManifest);
  const std::string damage = there ? damage_of(runtime, checkpoint) : std::string();
  const bool accidents = there && damage.empty() && !is_bound(checkpoint);
  findings.compare(
      fmt::format("the checkpoint, {}{}", checkpoint.string(), accidents ? ", whose manifest detects only accidents" : ""),
      made.string("checkpoint_sha256"), hashes.of_file(checkpoint / kManifest));
  if (!damage.empty())
    findings.mismatch(fmt::format("{}: {}", checkpoint.string(), damage));
  else if (there)
    try {
      check_against_checkpoint(made, folder, checkpoint, findings);
    } catch (const Error& error) {
      findings.mismatch(error.what());
    }
  check_origin({made.string("config"), made.string("model_sha256"), made.string("tokens_sha256")}, hashes, findings);
  check_history(runtime, history_of_record(made), hashes, findings);
  return findings.conclude({"host, job_id, libraries, version and written of expunge.json"});
}

}  // namespace expunge
