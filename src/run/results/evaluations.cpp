// Reads and writes evaluations.h5.
#include "run/results/evaluations.h"

#include <fmt/format.h>

#include <span>

#include "data/token_file.h"
#include "expunge/error.h"
#include "run/log_table.h"

namespace expunge {
namespace {

constexpr const char* kStep = "/eval/step";

std::string column(const std::string& split, const Metric& metric) { return fmt::format("/eval/{}/{}", split, metric.name); }

std::vector<Columns::Column> columns_of(const std::vector<std::string>& splits) {
  std::vector<Columns::Column> columns{{kStep, Columns::Kind::int64}};
  for (const std::string& split : splits)
    for (const Metric& metric : metrics())  // every version has the first one
      columns.push_back({column(split, metric), Columns::Kind::float64, !is_first(metric)});
  return columns;
}

std::vector<EvaluationRow> rows_of(const std::vector<std::int64_t>& steps) {
  std::vector<EvaluationRow> rows;
  for (const std::int64_t step : steps) rows.push_back({step, {}});
  return rows;
}

void fill(std::vector<EvaluationRow>& rows, const std::string& split, const Metric& metric, const std::vector<double>& values) {
  for (std::size_t i = 0; i < rows.size(); ++i) rows[i].splits[split][metric.name] = values[i];
}

}  // namespace

NamedMetrics name_metrics(const EvaluationRow& row, const std::vector<std::string>& splits) {
  NamedMetrics named;
  for (const std::string& split : splits)
    for (const Metric& metric : metrics())
      named.emplace_back(column(split, metric).substr(1), row.splits.at(split)[metric.name]);
  return named;
}

EvaluationTable::EvaluationTable(const std::filesystem::path& path, std::vector<std::string> splits, std::int64_t last_step,
                                 const std::filesystem::path& checkpoint)
    : splits_(std::move(splits)), columns_(open_log_table(path, columns_of(splits_), last_step, checkpoint)) {}

std::vector<EvaluationRow> EvaluationTable::rows() const {
  std::vector<EvaluationRow> rows = rows_of(columns_.read_int64(kStep));
  for (const std::string& split : splits_)
    for (const Metric& metric : metrics()) fill(rows, split, metric, columns_.read_float64(column(split, metric)));
  return rows;
}

void EvaluationTable::append(const EvaluationRow& row) {
  std::vector<Columns::Value> values{row.step};
  for (const auto& [name, value] : name_metrics(row, splits_)) values.emplace_back(value);
  columns_.append_rows(std::span(&values, 1));
}

std::vector<EvaluationRow> read_evaluations(const Hdf5File& file) {
  std::vector<EvaluationRow> rows = rows_of(file.read_all<std::int64_t>(kStep));
  for (const std::string& split : split_groups(file, "/eval"))
    for (const Metric& metric : metrics()) {
      const std::string dataset = column(split, metric);
      if (!is_first(metric) && !file.exists(dataset)) continue;  // of an earlier version
      const auto values = file.read_all<double>(dataset);
      if (values.size() != rows.size())
        fail(ExitCode::bad_input, fmt::format("{}: {}: expected {} rows, as {} has, found {}", file.path().string(), dataset,
                                              rows.size(), kStep, values.size()));
      fill(rows, split, metric, values);
    }
  return rows;
}

}  // namespace expunge
