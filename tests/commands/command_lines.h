// Helpers of the option tests: parsing a command line into its struct, and the message of a refusal.
#pragma once

#include <gtest/gtest.h>

#include <sstream>
#include <string>
#include <vector>

#include "commands/eval.h"
#include "commands/export.h"
#include "commands/generate.h"
#include "commands/inspect.h"
#include "commands/mia.h"
#include "commands/plan.h"
#include "commands/report.h"
#include "commands/task.h"
#include "commands/tokenize.h"
#include "commands/train.h"
#include "commands/start_training.h"
#include "commands/unlearn.h"
#include "commands/verify.h"
#include "expunge/error.h"
#include "run/options.h"
#include "support/temporary_folder.h"

namespace expunge {

using Arguments = std::vector<std::string>;

/// The words of a line.
inline Arguments words(const std::string& line) {
  std::istringstream stream(line);
  Arguments words;
  for (std::string word; stream >> word;) words.push_back(word);
  return words;
}

/// Parses into `config` with the options that `table` makes.
template <typename Config>
void parse_into(Config& config, OptionTable (*table)(Config&), const Arguments& arguments, const KeyOwners& owners = {}) {
  table(config).parse(arguments, owners);
}

inline const std::string kUnlearn = "--model m --tokens t.h5 --domain books --method gradient_ascent --output-dir run ";
inline const std::string kTrain = "--model m --tokens t.h5 --split books/forget --output-dir run ";
inline const std::string kEval = "--model m --tokens t.h5 --domain books --output e.h5 ";

inline RunOptions unlearn(const std::string& more) {
  RunOptions config;
  parse_into(config, unlearn_options, words(kUnlearn + more));
  return config;
}

/// The message of the usage error that `work` throws.
template <typename Work>
std::string refusal(Work work) {
  try {
    work();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::usage) << error.what();
    return error.what();
  }
  ADD_FAILURE() << "nothing was refused";
  return "";
}

}  // namespace expunge
