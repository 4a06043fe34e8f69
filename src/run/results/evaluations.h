// evaluations.h5: the metrics of the evaluations inside a run.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "eval/metrics.h"
#include "io/columns.h"

namespace expunge {

/// One evaluation.
struct EvaluationRow {
  std::int64_t step;
  SplitTable splits;
};

/// Metrics with the names of their columns, such as "eval/books/forget/perplexity", in the order of `splits` and metrics().
using NamedMetrics = std::vector<std::pair<std::string, double>>;
NamedMetrics name_metrics(const EvaluationRow& row, const std::vector<std::string>& splits);

/// Columns /eval/step and /eval/<domain>/<split>/<metric>, one row an evaluation.
class EvaluationTable {
 public:
  /// Opens or creates it, without rows past step `last_step`; `checkpoint` as for open_log_table(). In a table of an earlier
  /// version, metrics that it lacks are not a number in the rows before.
  EvaluationTable(const std::filesystem::path& path, std::vector<std::string> splits, std::int64_t last_step,
                  const std::filesystem::path& checkpoint);
  std::vector<EvaluationRow> rows() const;
  void append(const EvaluationRow& row);
  /// Attributes of the file.
  void annotate(const std::function<void(Hdf5File&)>& change) { columns_.annotate(change); }

 private:
  std::vector<std::string> splits_;
  Columns columns_;
};

/// All rows of such a file; the number of sequences is not known. Throws Error(bad_input).
std::vector<EvaluationRow> read_evaluations(const Hdf5File& file);

}  // namespace expunge
