// The options that commands share: computing, inputs and outputs.
#include "commands/shared_options.h"

#include <fmt/format.h>

#include <set>

#include "cli/values.h"
#include "core/text.h"
#include "data/token_file.h"
#include "expunge/error.h"
#include "run/compute_options.h"

namespace expunge {

Option quiet_option(bool& quiet) { return flag("quiet", quiet, "print warnings and errors only"); }

void check_splits(std::string_view key, const std::string& domain, const std::vector<std::string>& splits) {
  std::set<std::string> seen;
  for (const std::string& split : splits)
    if (const std::string name = full_split_name(domain, split); !seen.insert(name).second)
      fail(ExitCode::usage, fmt::format("--{}: {} is named twice; leave one out", key, excerpt(name)));
}

Option positional(Option option) {
  option.kind = Option::Kind::positional;
  return required(std::move(option));
}

std::vector<Option> scoring_input(ScoringConfig& config, std::string domain_help) {
  return {required(path("model", "DIR", FileUse::model, config.model, "model folder, run folder or checkpoint folder")),
          required(path("tokens", "FILE", FileUse::file, config.tokens, "token file of expunge tokenize")),
          required(text("domain", "NAME", config.domain, std::move(domain_help))),
          whole("max-eval-samples", config.max_eval_samples, 0, "use the first N sequences of each split only; 0: all"),
          config_option(),
          print_config_option()};
}

std::vector<Option> scoring_output(ScoringConfig& config) {
  return {required(path("output", "FILE", FileUse::output, config.output, "file of results to write (HDF5)")),
          flag("overwrite", config.overwrite, "replace an existing file of results"), quiet_option(config.quiet)};
}

void add_scoring_compute(OptionTable& table, ScoringConfig& config) {
  std::vector<Option> compute = shared_compute_options(config.compute);
  compute.push_back(
      whole("per-device-eval-batch-size", config.per_device_eval_batch_size, 1, "sequences in a rank's micro-batch"));
  compute.push_back(whole("micro-batch-tokens", config.micro_batch_tokens, 0,
                          "pack sequences into micro-batches of at most this many tokens; 0: count sequences instead"));
  table.group("Computing", std::move(compute));
}

Option text_model_option(TextConfig& config) {
  return required(
      path("model", "DIR", FileUse::model, config.model, "model folder, run folder or checkpoint folder, with a tokenizer"));
}

std::vector<Option> text_output(TextConfig& config, const std::string& help) {
  return {required(path("output", "FILE", FileUse::output, config.output, help)),
          flag("overwrite", config.overwrite, "replace an existing file"), quiet_option(config.quiet)};
}

void add_text_compute(OptionTable& table, TextConfig& config) {
  std::vector<Option> compute = shared_compute_options(config.compute);
  compute.push_back(
      whole("per-device-eval-batch-size", config.per_device_eval_batch_size, 1, "texts that a rank computes at a time"));
  table.group("Computing", std::move(compute));
}

}  // namespace expunge
