// Options of `expunge report`, as plain values.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace expunge {

/// Options of `expunge report`.
struct ReportConfig {
  std::vector<std::string> runs;  ///< run folders, in the order of the report
  std::filesystem::path output;   ///< the HTML page; Markdown and figures lie beside it
  std::vector<std::string>
      before;                      ///< evaluations, attacks and tasks of original models, given to the runs that came from them
  std::vector<std::string> after;  ///< of the one run, where they do not lie in its folder as eval.h5, mia.h5, task.h5
  std::string title = "Unlearning report";
  double pretraining_tokens = 0;  ///< 0: not known
  bool overwrite = false, quiet = false;
};

}  // namespace expunge
