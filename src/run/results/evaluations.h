// evaluations.h5: the metrics of evaluations inside a run.
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

/// Columns /eval/step and /eval/<domain>/<split>/<metric>, one row per evaluation.
class EvaluationTable {
 public:
  /// Opens or creates the table, without rows past step `last_step`; `checkpoint` as for open_log_table(). Metrics that a
  /// table of an earlier version lacks are NaN in its rows.
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

/// Reads all rows of such a file; the number of sequences stays unknown. Throws Error(bad_input).
std::vector<EvaluationRow> read_evaluations(const Hdf5File& file);

}  // namespace expunge
