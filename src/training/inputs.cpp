// Reads and checks the inputs of a run.
#include "training/inputs.h"

#include <fmt/format.h>

#include <algorithm>

#include "expunge/error.h"
#include "inference/token_checks.h"
#include "io/hash.h"
#include "run/trained_splits.h"
#include "training/optimizer.h"
#include "training/reference.h"

namespace expunge {
namespace {

/// Checks the options of a method that depend on the model's shape.
void check_objective(const Objective& objective, const LlamaConfig& config) {
  for (const Term& term : objective.terms())
    if (term.signal.kind == Signal::Kind::distance && (term.signal.layer < 0 || term.signal.layer >= config.num_hidden_layers))
      fail(ExitCode::usage,
           fmt::format("--layer {}: expected a block of the model, 0 to {}", term.signal.layer, config.num_hidden_layers - 1));
}

}  // namespace

Inputs::Inputs(const Session& session, const RunOptions& options)
    : source(options.input.init_config.empty() ? locate_model(session.runtime(), options.input.model)
                                               : initial_model(options.input.init_config)),
      tokens(options.input.tokens),
      objective(objective_of(options, static_cast<double>(tokens.info().max_length))),
      data(tokens, trained_splits(options, *objective), options.samples, source.config.vocab_size, items_used(options)),
      units(llama_units(source.config, session.world_size())),
      tokens_sha256(on_root(session.runtime(), [&] { return sha256_file(options.input.tokens); })),
      length(options.schedule, options.batch, options.released, data.items()),
      tokens_at_once(largest_micro_batch(options.batch, static_cast<std::int64_t>(data.longest()))) {
  const Runtime& runtime = session.runtime();
  check_objective(*objective, source.config);
  check_tokenizer(runtime, source, tokens);
  (void)fixed_parameters(options.optimizer.trainable, units);
  if (!options.labels.given.empty()) labels_sha256 = give_labels(runtime, options.labels.given, tokens_sha256, source, data);
  if (options.evaluation.steps > 0) {
    evaluation_spec.emplace(options.input.domain, options.evaluation, options.batch.micro_batch_tokens, tokens,
                            source.config.vocab_size);
    tokens_at_once = std::max(tokens_at_once, evaluation_spec->longest());
  }
  for (std::size_t s = 0; s < data.sources(); ++s) check_window(source.config, data.source(s).split, data.split(s), 0);
  for (std::size_t s = 0; evaluation_spec && s < evaluation_spec->splits.size(); ++s)
    check_window(source.config, evaluation_spec->names[s], evaluation_spec->splits[s],
                 static_cast<std::size_t>(options.evaluation.max_samples));
}

}  // namespace expunge
