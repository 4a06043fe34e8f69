// `expunge eval`: perplexity and accuracy of a model over splits, printed and written to HDF5.
#include <fmt/format.h>

#include <algorithm>

#include "expunge/core/error.h"
#include "expunge/core/log.h"
#include "expunge/io/hash.h"
#include "expunge/train/commands.h"
#include "expunge/train/evaluation_file.h"
#include "expunge/train/evaluator.h"
#include "expunge/train/model_source.h"

namespace expunge {
namespace {

template <Element T>
std::vector<SplitResult> evaluate_as(const Session& session, const EvalConfig& config, const ModelSource& source,
                                     const TokenFile& tokens, const std::vector<std::string>& splits) {
  const bool once = config.compute.gather == GatherPolicy::per_step;
  ShardedParams<T> params(session.runtime(), llama_units(source.config, session.world_size()),
                          {once, config.compute.prefetch, false}, false);
  load_weights(source, 0, false, params);
  Llama<T> model(source.config, params, Recompute::none);
  const EvaluationBatching batching{static_cast<std::size_t>(config.per_device_eval_batch_size),
                                    static_cast<std::size_t>(config.compute.micro_batch_tokens),
                                    static_cast<std::size_t>(config.max_eval_samples)};
  std::vector<SplitResult> results;
  for (const std::string& name : splits) {
    const TokenSplit split = tokens.split(name, source.config.vocab_size);
    results.push_back({name, evaluate_split(model, split, batching)});
    log_info(fmt::format("{}: {} sequences", name, results.back().sequences.size()));
  }
  return results;
}

std::vector<SplitResult> evaluate(const Session& session, const EvalConfig& config, const ModelSource& source,
                                  const TokenFile& tokens, const std::vector<std::string>& splits) {
  switch (config.compute.dtype) {
    case DType::float32:
      return evaluate_as<float>(session, config, source, tokens, splits);
    case DType::bfloat16:
      return evaluate_as<bf16>(session, config, source, tokens, splits);
    case DType::float64:
      return evaluate_as<double>(session, config, source, tokens, splits);
    case DType::float16:
      break;
  }
  fail(ExitCode::usage, "--dtype: use float32, bfloat16 or float64");
}

void print_table(const std::vector<SplitResult>& results) {
  fmt::print("\n{:<24}{:>11}{:>12}{:>14}{:>14}{:>12}\n", "split", "sequences", "tokens", "perplexity", "per token", "accuracy");
  for (const SplitResult& result : results) {
    const SplitFigures f = summarise_split(result.sequences);
    fmt::print("{:<24}{:>11}{:>12}{:>14.4g}{:>14.4g}{:>10.2f} %\n", result.split, f.sequences, f.tokens, f.perplexity,
               f.token_perplexity, f.accuracy);
  }
}

void print_comparison(const std::vector<SplitResult>& results, const std::map<std::string, SplitFigures>& before) {
  fmt::print("\n{:<24}{:>14}{:>14}{:>16}{:>12}\n{:<24}{:>14}{:>14}{:>16}{:>12}\n", "", "perplexity", "", "accuracy", "",
             "split", "before", "after", "before", "after");
  for (const SplitResult& result : results) {
    const SplitFigures f = summarise_split(result.sequences);
    const auto old = before.find(result.split);
    if (old == before.end())
      fmt::print("{:<24}{:>14}{:>14.4g}{:>16}{:>10.2f} %\n", result.split, "-", f.perplexity, "-", f.accuracy);
    else
      fmt::print("{:<24}{:>14.4g}{:>14.4g}{:>14.2f} %{:>10.2f} %\n", result.split, old->second.perplexity, f.perplexity,
                 old->second.accuracy, f.accuracy);
  }
}

}  // namespace

void run_evaluation(Session& session, const EvalConfig& config) {
  const Runtime& runtime = session.runtime();
  if (!config.overwrite && std::filesystem::exists(config.output))
    fail(ExitCode::output,
         fmt::format("{}: exists already; remove it, give another name or --overwrite", config.output.string()));
  const ModelSource source = locate_model(runtime, config.model);
  const TokenFile tokens(config.tokens);
  check_tokenizer(runtime, source, tokens);
  const std::vector<std::string> splits = evaluation_splits(tokens, config.domain, config.splits);
  if (splits.empty()) fail(ExitCode::bad_input, fmt::format("{}: no domain {}", config.tokens.string(), config.domain));
  const auto before = config.compare.empty() ? std::map<std::string, SplitFigures>() : read_evaluation(config.compare);
  const std::string sha256 = model_sha256(source, runtime, llama_units(source.config, session.world_size()));
  const std::vector<SplitResult> results = evaluate(session, config, source, tokens, splits);
  on_root(runtime, [&] {
    if (before.empty())
      print_table(results);
    else
      print_comparison(results, before);
    write_evaluation(config.output,
                     {config.model.string(), sha256, config.tokens.string(), sha256_file(config.tokens),
                      std::string(dtype_name(config.compute.dtype))},
                     results);
    return std::string();
  });
}

}  // namespace expunge
