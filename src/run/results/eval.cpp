// Reads and writes eval.h5.
#include "run/results/eval.h"

#include <fmt/format.h>

#include <limits>
#include <span>

#include "core/process.h"
#include "expunge/error.h"
#include "io/files.h"
#include "io/hash.h"
#include "io/hdf5_seal.h"
#include "model/llama.h"
#include "run/conditions.h"
#include "run/provenance.h"

namespace expunge {

EvaluationSource evaluation_source(const Session& session, const std::filesystem::path& path, const WeightsSource& model,
                                   const TokenFile& tokens, DType dtype) {
  const Runtime& runtime = session.runtime();
  return {whole_path(path).string(),          model_sha256(model, runtime, llama_units(model.config, session.world_size())),
          whole_path(tokens.path()).string(), on_root(runtime, [&] { return sha256_file(tokens.path()); }),
          tokens.info().tokenizer_sha256,     tokens.info().max_length,
          std::string(dtype_name(dtype)),     device_name(runtime.device.type)};
}

void write_source(Hdf5File& file, const EvaluationSource& source) {
  file.write_attribute("/", "model", source.model);
  file.write_attribute("/", "tokens", source.tokens);
  file.write_attribute("/", "tokenizer_sha256", source.tokenizer_sha256);
  file.write_attribute("/", "max_length", source.max_length);
  file.write_attribute("/", "dtype", source.dtype);
  file.write_attribute("/", "device", source.device);
  write_provenance(file, {source.model_sha256, source.tokens_sha256, source.options, source.libraries, job_restarts()});
}

namespace {

/// Computes a metric that the file of an earlier version lacks from its values of sequences.
double metric_from_sequences(const Hdf5File& file, const std::string& group, const Metric& metric) {
  const std::string dataset = fmt::format("{}/{}", group, metric.dataset), targets = group + "/tokens";
  if (!is_first(metric) && (!file.exists(dataset) || !file.exists(targets))) return std::numeric_limits<double>::quiet_NaN();
  const auto values = file.read_all<double>(dataset);
  const auto counts = file.read_all<std::uint64_t>(targets);
  if (values.empty() || values.size() != counts.size())
    fail(ExitCode::bad_input,
         fmt::format("{}: {} and {}: expected one value per sequence, found {} and {}; make the file again",
                     file.path().string(), dataset, targets, values.size(), counts.size()));
  return metric.aggregate(values, counts);
}

SplitMetrics read_split(const Hdf5File& file, const std::string& group) {
  SplitMetrics split;
  for (const Metric& metric : metrics()) {
    const std::string name(metric.name);
    split[name] =
        file.has_attribute(group, name) ? file.read_attribute<double>(group, name) : metric_from_sequences(file, group, metric);
  }
  split.sequences = file.read_attribute<std::uint64_t>(group, "sequences");
  split.targets = file.read_attribute<std::uint64_t>(group, "tokens");
  return split;
}

void write_split(Hdf5File& file, const std::string& group, std::span<const SequenceMetrics> sequences) {
  const SplitMetrics split = summarise_split(sequences);
  for (const Metric& metric : metrics()) file.write_attribute(group, std::string(metric.name), split[metric.name]);
  file.write_attribute(group, "sequences", split.sequences);
  file.write_attribute(group, "tokens", split.targets);
  std::vector<std::uint64_t> targets;
  for (const SequenceMetrics& sequence : sequences) targets.push_back(sequence.targets);
  for (const SequenceValue& value : sequence_values()) {
    std::vector<double> values;
    for (const SequenceMetrics& sequence : sequences) values.push_back(sequence[value.name]);
    write_values(file, fmt::format("{}/{}", group, value.name), values);
  }
  write_values(file, group + "/tokens", targets);
}

}  // namespace

void write_evaluation(const std::filesystem::path& path, Existing existing, const EvaluationSource& source,
                      const std::vector<SplitResult>& results) {
  PendingFile pending(path, existing);
  Hdf5File file = Hdf5File::create(pending.temporary());
  write_source(file, source);
  for (const SplitResult& result : results) {
    const std::string group = "/" + result.split;
    file.create_group(group);
    write_split(file, group, result.sequences);
  }
  commit_sealed(file, pending);
}

SplitTable read_evaluation(const Hdf5File& file) {
  SplitTable results;
  for (const std::string& domain : file.children("/"))
    for (const std::string& split : file.children("/" + domain))
      results[domain + "/" + split] = read_split(file, "/" + domain + "/" + split);
  return results;
}

}  // namespace expunge
