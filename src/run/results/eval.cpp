// The layout of eval.h5.
#include "run/results/eval.h"

#include "core/process.h"
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

void write_evaluation(const std::filesystem::path& path, Existing existing, const EvaluationSource& source,
                      const std::vector<SplitResult>& results) {
  PendingFile pending(path, existing);
  Hdf5File file = Hdf5File::create(pending.temporary());
  write_source(file, source);
  for (const SplitResult& result : results) {
    const std::string group = "/" + result.split;
    file.create_group(group);
    const SplitFigures figures = summarise_split(result.sequences);
    file.write_attribute(group, "perplexity", figures.perplexity);
    file.write_attribute(group, "token_perplexity", figures.token_perplexity);
    file.write_attribute(group, "accuracy", figures.accuracy);
    file.write_attribute(group, "exact_memorisation", figures.exact_memorisation());
    file.write_attribute(group, "extraction_strength", figures.extraction_strength);
    file.write_attribute(group, "sequences", figures.sequences);
    file.write_attribute(group, "tokens", figures.tokens);
    std::vector<double> nll, accuracy, extraction_strength;
    std::vector<std::uint64_t> tokens;
    for (const SequenceFigures& sequence : result.sequences) {
      nll.push_back(sequence.nll);
      accuracy.push_back(sequence.accuracy);
      extraction_strength.push_back(sequence.extraction_strength);
      tokens.push_back(sequence.tokens);
    }
    write_values(file, group + "/nll", nll);
    write_values(file, group + "/accuracy", accuracy);
    write_values(file, group + "/extraction_strength", extraction_strength);
    write_values(file, group + "/tokens", tokens);
  }
  commit_sealed(file, pending);
}

std::map<std::string, SplitFigures> read_evaluation(const Hdf5File& file) {
  std::map<std::string, SplitFigures> results;
  for (const std::string& domain : file.children("/")) {
    for (const std::string& split : file.children("/" + domain)) {
      const std::string name = domain + "/" + split, group = "/" + name;
      results[name] = {
          file.read_attribute<double>(group, "perplexity"),    file.read_attribute<double>(group, "token_perplexity"),
          file.read_attribute<double>(group, "accuracy"),      file.read_attribute<std::uint64_t>(group, "sequences"),
          file.read_attribute<std::uint64_t>(group, "tokens"), file.read_attribute<double>(group, "extraction_strength")};
    }
  }
  return results;
}

}  // namespace expunge
