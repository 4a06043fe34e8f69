// Names and checks of the commands that pass splits through a model.
#include "train/scoring.h"

#include <fmt/format.h>

#include "expunge/io/files.h"
#include "expunge/io/hash.h"
#include "train/conditions.h"

namespace expunge {

EvaluationBatching batching_of(const ScoringConfig& config) {
  return {static_cast<std::size_t>(config.per_device_eval_batch_size),
          static_cast<std::size_t>(config.compute.micro_batch_tokens), static_cast<std::size_t>(config.max_eval_samples)};
}

void check_output(const std::filesystem::path& output, bool overwrite) {
  check_writable(output);
  std::error_code unknown;
  if (!overwrite && std::filesystem::exists(std::filesystem::symlink_status(output, unknown)))
    fail(ExitCode::output, fmt::format("{}: exists already; remove it, give another name or --overwrite", output.string()));
}

void check_output(const Runtime& runtime, const std::filesystem::path& output, bool overwrite) {
  on_root(runtime, [&] {
    check_output(output, overwrite);
    return std::string();
  });
}

EvaluationSource describe(const Session& session, const ScoringConfig& config, const ModelSource& source,
                          const TokenFile& tokens) {
  const Runtime& runtime = session.runtime();
  return {whole_path(config.model).string(),
          model_sha256(source, runtime, llama_units(source.config, session.world_size())),
          whole_path(config.tokens).string(),
          on_root(runtime, [&] { return sha256_file(config.tokens); }),
          tokens.info().tokenizer_sha256,
          tokens.info().max_length,
          std::string(dtype_name(config.compute.dtype)),
          device_name(runtime.device.type),
          config.resolved,
          config.libraries};
}

}  // namespace expunge
