// Options of the commands that give texts to a model: generate and task.
#include <algorithm>

#include "cli/values.h"
#include "commands/options.h"
#include "commands/options_commands.h"
#include "commands/options_shared.h"
#include "commands/run.h"
#include "expunge/error.h"

namespace expunge {
namespace {

Option model_option(TextConfig& c) {
  return required(
      path("model", "DIR", FileUse::model, c.model, "model folder, run folder or checkpoint folder; it must have a tokenizer"));
}

std::vector<Option> output_options(TextConfig& c, const std::string& help) {
  return {required(path("output", "FILE", FileUse::output, c.output, help)),
          flag("overwrite", c.overwrite, "replace the file where there is one"), quiet_option(c.quiet)};
}

void add_compute(OptionTable& table, TextConfig& c) {
  std::vector<Option> compute = shared_compute_options(c.compute);
  compute.push_back(
      whole("per-device-eval-batch-size", c.per_device_eval_batch_size, 1, "texts that a rank works on at a time"));
  table.group("Computing", std::move(compute));
}

/// Unlike other lists, of texts with line breaks and blanks as they stand.
Option stop_option(std::vector<std::string>& stops) {
  return {.key = "stop",
          .value_name = "TEXT",
          .expected = "a text that is not empty",
          .help = "end a completion where this text begins",
          .set =
              [&stops](const std::vector<std::string>& given) {
                if (std::ranges::any_of(given, &std::string::empty)) return false;
                stops = given;
                return true;
              },
          .get = [] { return std::vector<std::string>(); },
          .kind = Option::Kind::list,
          .resolved = false};
}

void check_sampling(const GenerateConfig& c, const OptionTable& given) {
  for (const char* key : {"top-k", "top-p"})
    if (c.temperature == 0 && given.source(key) != Source::none)
      fail(ExitCode::usage, std::string("--") + key + " narrows a draw, and without --temperature above 0 there is none");
  if (c.temperature == 0 && c.num_samples > 1)
    fail(ExitCode::usage, "--num-samples above 1 needs --temperature above 0: greedy completions are all the same");
  if (c.top_p == 0) fail(ExitCode::usage, "--top-p 0 leaves no token to draw; expected a number above 0 up to 1");
}

}  // namespace

OptionTable generate_options(GenerateConfig& c) {
  OptionTable table("generate");
  table.group(
      "Input",
      {model_option(c),
       required(path("prompts", "FILE", FileUse::file, c.prompts, "prompts, one JSON object a line (.jsonl or .jsonl.gz)")),
       text("prompt-column", "NAME", c.prompt_column, "field of the prompt; without it, prompt or else text"), config_option(),
       print_config_option()});
  std::vector<Option> output = output_options(c, "file to write: the objects of --prompts with their completions");
  output.front().beside = [](const std::filesystem::path& path) { return std::vector{record_of_generation(path)}; };
  table.group("Output", std::move(output));
  Option most = required(whole("max-new-tokens", c.max_new_tokens, 1, "most tokens of a completion"));
  table.group("Generation",
              {std::move(most), stop_option(c.stops),
               real("temperature", c.temperature, kTemperature,
                    "logits are divided by this before a token is drawn; 0: the most likely one is taken"),
               whole("top-k", c.top_k, 0, "draw from so many most likely tokens; 0: all"),
               real("top-p", c.top_p, kFraction, "draw from the most likely tokens that make up this probability"),
               whole("num-samples", c.num_samples, 1, "completions of each prompt, a line each"),
               seed("seed", c.seed,
                    "seed of the draws: they depend on it, the prompt's place in the file, the sample and the place in the "
                    "completion")});
  add_compute(table, c);
  table.then([&c](const OptionTable& given) {
    check_compute(c.compute, given);
    check_sampling(c, given);
  });
  return table;
}

OptionTable task_options(TaskConfig& c) {
  OptionTable table("task");
  table.group(
      "Input",
      {model_option(c),
       required(path("tasks", "FILE", FileUse::file, c.tasks, "questions, one JSON object a line (.jsonl or .jsonl.gz)")),
       whole("num-fewshot", c.num_fewshot, 0,
             "examples before each question, with their answers: the first of its task; they are not scored"),
       path("fewshot-file", "FILE", FileUse::file, c.fewshot_file, "take the examples from this file and score all of --tasks"),
       whole("max-new-tokens", c.max_new_tokens, 1, "most tokens of a generated answer (GSM8K)"), config_option(),
       print_config_option()});
  table.group("Output", output_options(c, "file of results to write (HDF5)"));
  add_compute(table, c);
  table.then([&c](const OptionTable& given) {
    check_compute(c.compute, given);
    if (!c.fewshot_file.empty() && c.num_fewshot == 0)
      fail(ExitCode::usage, "--fewshot-file needs --num-fewshot, which says how many examples to take from it");
  });
  return table;
}

}  // namespace expunge
