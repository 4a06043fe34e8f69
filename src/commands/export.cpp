// `expunge export`: writes a checkpoint as a Hugging Face folder.
#include "commands/export.h"

#include <fmt/format.h>

#include <algorithm>

#include "cli/values.h"
#include "commands/shared_options.h"
#include "commands/start.h"
#include "core/log.h"
#include "expunge/error.h"
#include "io/files.h"
#include "io/hash.h"
#include "io/json.h"
#include "io/model_folder.h"
#include "model/llama.h"
#include "run/provenance.h"
#include "store/checkpoint.h"
#include "store/weights.h"

namespace expunge {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kPiece = std::size_t{1} << 22;  // elements copied at a time

void copy_tensor(const CheckpointReader& reader, const ParameterView& view, ModelFolderWriter& writer) {
  std::vector<double> values;
  for (std::size_t first = 0; first < view.size; first += kPiece) {
    values.resize(std::min(kPiece, view.size - first));
    reader.read<double>("parameters", view, first, values);
    writer.append(values.data(), values.size());
  }
}

/// The model's config.json with the element type of the written weights.
std::string exported_config(const fs::path& config_json, DType dtype) {
  nlohmann::ordered_json config = parse_ordered_json(read_file(config_json, kModelConfigLimit), config_json.string());
  config[config.contains("dtype") ? "dtype" : "torch_dtype"] = dtype_name(dtype);
  return config.dump(2) + "\n";
}

void write_record(ModelFolderWriter& writer, const fs::path& checkpoint, const CheckpointInfo& info, DType dtype) {
  nlohmann::ordered_json record = {{"checkpoint", whole_path(checkpoint).string()},
                                   {"checkpoint_sha256", sha256_file(checkpoint / kManifest)},
                                   {"step", info.step},
                                   {"total_steps", info.total_steps},
                                   {"dtype", dtype_name(dtype)}};
  record.update(describe({info.model_sha256, info.tokens_sha256, info.config, info.libraries, info.restarts}));
  if (!info.history.empty()) record["history"] = parse_json(info.history, checkpoint.string());
  record["files"] = writer.hashes();
  writer.write_side_file(kExportRecord, record.dump(2) + "\n");
}

void run_export(Session& session, const fs::path& checkpoint, const fs::path& output, std::optional<DType> dtype) {
  check_folder_writable(output);
  const WeightsSource source = locate_model(session.runtime(), checkpoint);
  if (source.kind != WeightsSource::Kind::checkpoint)
    fail(ExitCode::bad_input,
         fmt::format("{}: is a model folder already; give --checkpoint a run or a checkpoint", checkpoint.string()));
  const CheckpointReader reader(source.weights);
  if (reader.info().step < reader.info().total_steps)
    log_warning(fmt::format("{}: the run is unfinished, step {} of {}", source.weights.string(), reader.info().step,
                            reader.info().total_steps));
  const DType stored = dtype.value_or(source.config.torch_dtype);
  const std::vector<UnitLayout> units = llama_units(source.config, 1);
  std::vector<SafetensorsWriter::Tensor> tensors;
  for (const UnitLayout& unit : units)
    for (const ParameterView& view : unit.views()) tensors.push_back({view.name, view.shape});
  ModelFolderWriter writer(output, stored, std::move(tensors));
  for (const UnitLayout& unit : units)
    for (const ParameterView& view : unit.views()) copy_tensor(reader, view, writer);
  for (const fs::path& file : list_folder(source.side_files))
    if (file.filename() != "config.json") writer.copy_side_file(file);
  writer.write_side_file("config.json", exported_config(source.side_files / "config.json", stored));
  write_record(writer, source.weights, reader.info(), stored);
  writer.finish();
  log_info(fmt::format("{}: step {} written to {} as {}", source.weights.string(), reader.info().step, output.string(),
                       dtype_name(stored)));
}

/// The element type of the written weights; absent from the config text unless given.
Option export_dtype_option(std::optional<DType>& dtype) {
  return choice<std::optional<DType>>("dtype", dtype,
                                      {{"float32", DType::float32}, {"bfloat16", DType::bfloat16}, {"float16", DType::float16}},
                                      "element type of the written weights; without it, that of the model's config.json");
}

}  // namespace

OptionTable export_options(ExportConfig& config) {
  OptionTable table("export");
  table.group("Options",
              {required(path("checkpoint", "DIR", FileUse::model, config.checkpoint,
                             "run folder, for its newest checkpoint, or "
                             "checkpoint folder")),
               required(path("output-dir", "DIR", FileUse::output_folder, config.output_dir,
                             "new model folder to write (Hugging Face layout)")),
               export_dtype_option(config.dtype), quiet_option(config.quiet), config_option(), print_config_option()});
  return table;
}

Command export_command() {
  return command<ExportConfig>("export", "Writes a checkpoint as a Hugging Face model folder.",
                               "expunge export --checkpoint output/unlearn --output-dir models/unlearned", Ranks::one,
                               export_options, [](ExportConfig& config, const OptionTable& given) {
                                 check_file_uses(given);
                                 return in_session({.device = "cpu"}, config.quiet, [&](Session& session) {
                                   run_export(session, config.checkpoint, config.output_dir, config.dtype);
                                 });
                               });
}

}  // namespace expunge
