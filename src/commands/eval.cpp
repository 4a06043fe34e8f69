// `expunge eval`: measures a model on splits, prints the metrics and writes them to HDF5.
#include "commands/eval.h"

#include <fmt/format.h>

#include <optional>
#include <string>
#include <vector>

#include "cli/values.h"
#include "commands/shared_options.h"
#include "commands/start.h"
#include "core/log.h"
#include "core/standard_streams.h"
#include "expunge/error.h"
#include "inference/scoring_model.h"
#include "inference/token_checks.h"
#include "io/hdf5_seal.h"
#include "run/compute_options.h"
#include "run/conditions.h"
#include "run/output.h"
#include "run/results/eval.h"

namespace expunge {
namespace {

std::vector<SplitResult> evaluate(const Session& session, const EvalConfig& config, const WeightsSource& source,
                                  const TokenFile& tokens, const std::vector<std::string>& splits) {
  return in_element_type(config.compute.dtype, [&]<Element T>(std::type_identity<T>) {
    ScoringModel<T> model(session, source, config.compute);
    std::vector<SplitResult> results;
    for (const std::string& name : splits) {
      const TokenSplit split = tokens.split(name, source.config.vocab_size);
      check_window(source.config, name, split, static_cast<std::size_t>(config.max_eval_samples));
      results.push_back({name, evaluate_split(model.llama, split, batching_of(config))});
      check_finite(config.model.string(), name, results.back().sequences);
      log_info(fmt::format("{}: {} sequences", name, results.back().sequences.size()));
    }
    return results;
  });
}

void print_table(const std::vector<SplitResult>& results) {
  std::string line = fmt::format("\n{:<24}{:>10}{:>10}", "split", "sequences", "tokens");
  for (const Metric& metric : metrics()) line += fmt::format("{:>13}", metric.heading);
  print_result("{}\n", line);
  for (const SplitResult& result : results) {
    const SplitMetrics split = summarise_split(result.sequences);
    line = fmt::format("{:<24}{:>10}{:>10}", result.split, split.sequences, split.targets);
    for (const Metric& metric : metrics()) line += fmt::format("{:>13}", metric.text(split[metric.name]));
    print_result("{}\n", line);
  }
}

/// Warns of a perplexity worse than guessing. Without a tokenizer.model to compare, the tokens may be those of another model.
void warn_of_other_tokens(const EvalConfig& config, const std::vector<SplitResult>& results, int vocabulary) {
  for (const SplitResult& result : results)
    if (const double perplexity = summarise_split(result.sequences)["token_perplexity"]; perplexity > vocabulary)
      log_warning(
          fmt::format("{}: a perplexity of {:.4g} per token exceeds the vocabulary's size, {}: unless the model was made to "
                      "forget, {} probably has another tokenizer's tokens; tokenize the texts with the model's tokenizer",
                      result.split, perplexity, vocabulary, config.tokens.string()));
}

/// Metrics of an earlier evaluation, to print beside the new ones.
struct Earlier {
  SplitTable splits;
  Conditions conditions;
};

std::optional<Earlier> read_earlier(const std::filesystem::path& path) {
  if (path.empty()) return std::nullopt;
  const Hdf5File file = open_sealed(path);
  return Earlier{read_evaluation(file), evaluation_conditions(file)};
}

/// Warns if the conditions of the metrics differ, because the difference is then not an effect of unlearning.
void warn_of_other_conditions(const EvalConfig& config, const EvaluationSource& source, const std::vector<SplitResult>& results,
                              const Earlier& earlier) {
  std::vector<ConditionPair> pairs = pair_conditions(earlier.conditions, conditions_of(source));
  for (const SplitResult& result : results)
    if (const auto old = earlier.splits.find(result.split); old != earlier.splits.end())
      add_count(pairs, "sequences of " + result.split, old->second.sequences, result.sequences.size());
  if (const std::string differing = differences(pairs); !differing.empty())
    log_warning(fmt::format("{}: these metrics were computed under other conditions; do not compare them: {}",
                            config.compare.string(), differing));
  for (const ConditionPair& pair : pairs)
    if (!pair.known())
      log_warning(fmt::format("{}: {} is unknown, so these metrics may not be comparable", config.compare.string(), pair.name));
}

void print_comparison(const std::vector<SplitResult>& results, const SplitTable& before) {
  print_result("\n{:<24}{:<16}{:>14}{:>14}\n", "split", "metric", "before", "after");
  for (const SplitResult& result : results) {
    const SplitMetrics now = summarise_split(result.sequences);
    const auto old = before.find(result.split);
    for (const Metric& metric : metrics())
      print_result("{:<24}{:<16}{:>14}{:>14}\n", result.split, metric.heading,
                   old == before.end() ? "-" : metric.text(old->second[metric.name]), metric.text(now[metric.name]));
  }
}

void run_evaluation(Session& session, const EvalConfig& config) {
  const Runtime& runtime = session.runtime();
  check_output(runtime, config.output, config.overwrite);
  const WeightsSource source = locate_model(runtime, config.model);
  const TokenFile tokens(config.tokens);
  const bool tokens_known = check_tokenizer(runtime, source, tokens);
  const std::vector<std::string> splits = evaluation_splits(tokens, config.domain, config.splits);
  if (splits.empty())
    fail(ExitCode::bad_input, fmt::format("{}: has no domain {}; see expunge inspect", config.tokens.string(), config.domain));
  tokens.check(splits, source.config.vocab_size);
  const std::optional<Earlier> earlier = read_earlier(config.compare);
  EvaluationSource described = evaluation_source(session, config.model, source, tokens, config.compute.dtype);
  described.options = config.resolved;
  described.libraries = config.libraries;
  const std::vector<SplitResult> results = evaluate(session, config, source, tokens, splits);
  on_root(runtime, [&] {
    if (earlier) {
      print_comparison(results, earlier->splits);
      warn_of_other_conditions(config, described, results, *earlier);
    } else {
      print_table(results);
    }
    if (!tokens_known) warn_of_other_tokens(config, results, source.config.vocab_size);
    write_evaluation(config.output, existing_of(config.overwrite), described, results);
  });
}

}  // namespace

OptionTable eval_options(EvalConfig& config) {
  OptionTable table("eval");
  std::vector<Option> input = scoring_input(config, "domain to evaluate");
  input.push_back(
      list("split", "SPLIT", config.splits, "split to evaluate; without it, all of the domain and general/evaluation"));
  table.group("Input", std::move(input));
  std::vector<Option> output = scoring_output(config);
  output.push_back(
      path("compare", "FILE", FileUse::file, config.compare, "earlier file of results to print beside the new ones"));
  table.group("Output", std::move(output));
  add_scoring_compute(table, config);
  table.then([&config](const OptionTable& given) {
    check_compute(config.compute, given);
    check_splits("split", config.domain, config.splits);
  });
  return table;
}

Command eval_command() {
  return command<EvalConfig>(
      "eval", "Measures perplexity, accuracy and memorisation of a model on a domain's splits.",
      "mpirun -n 2 expunge eval --model output/unlearn --tokens tokens.h5 --domain arxiv --output eval.h5", Ranks::any,
      eval_options, [](EvalConfig& config, const OptionTable& given) {
        return start_inference(config, given, eval_options, run_evaluation);
      });
}

}  // namespace expunge
