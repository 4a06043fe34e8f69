// `expunge tokenize`: turns a folder of texts into one token file.
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
  std::vector<std::string> domains;  ///< empty: all in the folder
  std::string text_column;           ///< empty: text, else content
  bool quiet = false;
  std::string resolved = {};              ///< the options as `key = value` lines, for the file's record
  std::string libraries = {};             ///< versions of the program's libraries, for the file's record
  double near_duplicate_threshold = 0.8;  ///< least similarity of nearly equal documents; 0: no search
};

/// Writes the token file; the same input gives the same ids for any number of threads. Returns the process exit code.
/// Throws Error(bad_input) for data or tokenizer, Error(output) for the token file.
int tokenize(const TokenizeOptions& options);

/// The table refers to `config`, which must outlive it at the same address.
OptionTable tokenize_options(TokenizeOptions& config);
Command tokenize_command();

}  // namespace expunge
