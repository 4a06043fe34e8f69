// `expunge unlearn`: its options and their checks.
#include "commands/unlearn.h"

#include "commands/start_training.h"
#include "expunge/error.h"
#include "expunge/objective.h"
#include "run/method_options.h"
#include "run/option_tables.h"

namespace expunge {
namespace {

void check_unlearning(RunOptions& config, const OptionTable& given) {
  refuse_idle_options(config.method, given);
  if (config.labels.top_p == 0) fail(ExitCode::usage, "--top-p 0 leaves no id to draw; expected a number above 0 up to 1");
  if (!config.labels.given.empty() && (config.labels.from_model() || !config.labels.save.empty()))
    fail(ExitCode::usage, "--labels gives the labels; drop --top-k, --top-p, --rm-groundtruth and --save-labels");
  // The study does not shuffle the list of a mixed method.
  if (find_method(config.method.name).mixes && given.source("shuffle") == OptionSource::none) config.samples.shuffle = false;
  check_training(config, given);
}

}  // namespace

OptionTable unlearn_options(RunOptions& config) {
  OptionTable table = unlearn_table(config);
  table.then([&config](const OptionTable& given) { check_unlearning(config, given); });
  return table;
}

Command unlearn_command() {
  return command<RunOptions>("unlearn", "Makes a model forget a domain's split forget.",
                             "mpirun -n 8 expunge unlearn --model models/Yi-6B --tokens tokens.h5 --domain arxiv \\\n"
                             "    --method gradient_ascent --bf16 --global-batch-size 480 --output-dir output/unlearn",
                             Ranks::any, unlearn_options, start_training);
}

}  // namespace expunge
