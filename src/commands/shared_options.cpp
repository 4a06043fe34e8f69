// Options that commands share: how a model is run, what is read and written.
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

std::vector<Option> scoring_input(ScoringConfig& c, std::string domain_help) {
  return {required(path("model", "DIR", FileUse::model, c.model, "model folder, run folder or checkpoint folder")),
          required(path("tokens", "FILE", FileUse::file, c.tokens, "token file of expunge tokenize")),
          required(text("domain", "NAME", c.domain, std::move(domain_help))),
          whole("max-eval-samples", c.max_eval_samples, 0, "use the first N sequences of each split only; 0: all"),
          config_option(),
          print_config_option()};
}

std::vector<Option> scoring_output(ScoringConfig& c) {
  return {required(path("output", "FILE", FileUse::output, c.output, "file of results to write (HDF5)")),
          flag("overwrite", c.overwrite, "replace the file of results where there is one"), quiet_option(c.quiet)};
}

void add_scoring_compute(OptionTable& table, ScoringConfig& c) {
  std::vector<Option> compute = shared_compute_options(c.compute);
  compute.push_back(whole("per-device-eval-batch-size", c.per_device_eval_batch_size, 1, "sequences in a rank's micro-batch"));
  compute.push_back(whole("micro-batch-tokens", c.micro_batch_tokens, 0,
                          "pack sequences into micro-batches of at most this many tokens; 0: count sequences instead"));
  table.group("Computing", std::move(compute));
}

Option text_model_option(TextConfig& c) {
  return required(
      path("model", "DIR", FileUse::model, c.model, "model folder, run folder or checkpoint folder; it must have a tokenizer"));
}

std::vector<Option> text_output(TextConfig& c, const std::string& help) {
  return {required(path("output", "FILE", FileUse::output, c.output, help)),
          flag("overwrite", c.overwrite, "replace the file where there is one"), quiet_option(c.quiet)};
}

void add_text_compute(OptionTable& table, TextConfig& c) {
  std::vector<Option> compute = shared_compute_options(c.compute);
  compute.push_back(
      whole("per-device-eval-batch-size", c.per_device_eval_batch_size, 1, "texts that a rank works on at a time"));
  table.group("Computing", std::move(compute));
}

}  // namespace expunge
