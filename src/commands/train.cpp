// Plain descent.
#include "commands/train.h"

#include <fmt/format.h>

#include <algorithm>

#include "cli/values.h"
#include "commands/shared_options.h"
#include "commands/training_options.h"
#include "expunge/error.h"

namespace expunge {
namespace {

void check_train(TrainConfig& config, const OptionTable& given) {
  if (config.model.empty() == config.init_config.empty())
    fail(ExitCode::usage,
         fmt::format(
             "expunge train needs {} --model DIR (go on from a model) {} --init-config FILE (train from scratch)\nusage: {}",
             config.model.empty() ? "either" : "one of", config.model.empty() ? "or" : "and", given.synopsis()));
  for (const std::string& split : config.splits)
    if (std::count(split.begin(), split.end(), '/') != 1 || split.front() == '/' || split.back() == '/')
      fail(ExitCode::usage, fmt::format("--split: expected DOMAIN/SPLIT, such as books/forget, found \"{}\"", split));
  check_splits("split", "", config.splits);
  check_training(config, given);
}

}  // namespace

OptionTable train_options(TrainConfig& config) {
  config.command = "train";
  OptionTable table = training_table(
      config, {{"Input",
                {path("model", "DIR", FileUse::model, config.model,
                      "model folder to go on from (Hugging Face layout, Llama architecture)"),
                 path("init-config", "FILE", FileUse::file, config.init_config, "config.json of a model to train from scratch"),
                 required(path("tokens", "FILE", FileUse::file, config.tokens, "token file of expunge tokenize")),
                 required(list("split", "DOMAIN/SPLIT", config.splits, "what to train on"))}}});
  table.then([&config](const OptionTable& given) { check_train(config, given); });
  return table;
}

Command train_command() {
  return command<TrainConfig>("train", "Trains a model by plain descent, from a model folder or from scratch.",
                              "mpirun -n 2 expunge train --init-config config.json --tokens tokens.h5 --split books/forget \\\n"
                              "    --split books/retain --learning-rate 1e-3 --num-train-epochs 20 --output-dir output/train",
                              Ranks::any, train_options, start_training);
}

}  // namespace expunge
