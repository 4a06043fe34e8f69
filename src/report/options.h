// The options of `expunge report` as plain values.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace expunge {

/// Options of `expunge report`.
struct ReportConfig {
  std::vector<std::string> runs;    ///< run folders, in the order of the report
  std::filesystem::path output;     ///< the HTML page; Markdown and plots lie beside it
  std::vector<std::string> before;  ///< results for original models, for the runs that came from them
  std::vector<std::string> after;   ///< results for the one run, unless in its folder as eval.h5, mia.h5, task.h5
  std::string title = "Unlearning report";
  double pretraining_tokens = 0;  ///< 0: unknown
  bool overwrite = false, quiet = false;
};

}  // namespace expunge
