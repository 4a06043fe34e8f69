// `expunge train`: its options and their checks.
#include "commands/train.h"

#include <fmt/format.h>

#include <algorithm>

#include "commands/shared_options.h"
#include "commands/start_training.h"
#include "expunge/error.h"
#include "run/option_tables.h"

namespace expunge {
namespace {

void check_train(RunOptions& config, const OptionTable& given) {
  if (config.input.model.empty() == config.input.init_config.empty())
    fail(ExitCode::usage,
         fmt::format(
             "expunge train needs {} --model DIR (train a model further) {} --init-config FILE (train from scratch)\nusage: {}",
             config.input.model.empty() ? "either" : "one of", config.input.model.empty() ? "or" : "and", given.synopsis()));
  for (const std::string& split : config.input.splits)
    if (std::count(split.begin(), split.end(), '/') != 1 || split.front() == '/' || split.back() == '/')
      fail(ExitCode::usage, fmt::format("--split: expected DOMAIN/SPLIT, such as books/forget, found \"{}\"", split));
  check_splits("split", "", config.input.splits);
  check_training(config, given);
}

}  // namespace

OptionTable train_options(RunOptions& config) {
  OptionTable table = train_table(config);
  table.then([&config](const OptionTable& given) { check_train(config, given); });
  return table;
}

Command train_command() {
  return command<RunOptions>("train", "Trains a model by plain descent, from a model folder or from scratch.",
                             "mpirun -n 2 expunge train --init-config config.json --tokens tokens.h5 --split books/forget \\\n"
                             "    --split books/retain --learning-rate 1e-3 --num-train-epochs 20 --output-dir output/train",
                             Ranks::any, train_options, start_training);
}

}  // namespace expunge
