// expunge tokenize: a folder of texts into one token file.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "commands/run_command.h"

namespace expunge {

struct TokenizeOptions {
  std::filesystem::path tokenizer;   ///< model folder
  std::filesystem::path data;        ///< DATA/<domain>/<split>.{jsonl,jsonl.gz,txt}
  std::filesystem::path output;      ///< token file; must not exist
  int max_length = 4096;             ///< ids of a sequence: the context of the study's models
  std::vector<std::string> domains;  ///< empty: all that are found
  std::string text_column;           ///< empty: text, or else content
  bool quiet = false;
  std::string resolved = {};              ///< the options as `key = value` lines, for the file to name
  std::string libraries = {};             ///< versions of the program's libraries, likewise
  double near_duplicate_threshold = 0.8;  ///< least similarity of documents that are nearly equal; 0: do not look for them
};

/// Writes the token file; the same input gives the same ids whatever the number of threads. Returns the process exit code.
/// Throws Error(bad_input) for data or tokenizer, Error(output) for the token file.
int tokenize(const TokenizeOptions& options);

/// The table refers to `config`, which must outlive it and stay in place.
OptionTable tokenize_options(TokenizeOptions& config);
Command tokenize_command();

}  // namespace expunge
