// Writes metrics.h5.
#include "run/step_metrics.h"

#include <fmt/format.h>

#include <limits>
#include <string>
#include <type_traits>

#include "expunge/error.h"
#include "run/log_table.h"
#include "run/metric_columns.h"

namespace expunge {
namespace {

std::string column(const char* name) { return std::string("/train/") + name; }

std::vector<Columns::Column> metric_columns() {
  std::vector<Columns::Column> columns;
  for_each_metric([&]<typename V>(const char* name, V StepMetrics::*) {
    columns.push_back({column(name), std::is_same_v<V, double> ? Columns::Kind::float64 : Columns::Kind::int64});
  });
  return columns;
}

template <typename V>
std::vector<V> read_column(const Hdf5File& file, const std::string& path, std::size_t rows) {
  if (!file.exists(path)) {
    if constexpr (std::is_same_v<V, double>)
      return std::vector<V>(rows, std::numeric_limits<double>::quiet_NaN());
    else
      return std::vector<V>(rows);
  }
  std::vector<V> values = file.read_all<V>(path);
  if (values.size() != rows)
    fail(ExitCode::bad_input, fmt::format("{}: {}: expected {} rows, as {} has, found {}: the file is damaged",
                                          file.path().string(), path, rows, column("step"), values.size()));
  return values;
}

}  // namespace

std::vector<StepMetrics> read_step_metrics(const Hdf5File& file) {
  std::vector<StepMetrics> steps(file.read_all<std::int64_t>(column("step")).size());
  for_each_metric([&]<typename V>(const char* name, V StepMetrics::*member) {
    const std::vector<V> values = read_column<V>(file, column(name), steps.size());
    for (std::size_t i = 0; i < steps.size(); ++i) steps[i].*member = values[i];
  });
  return steps;
}

MetricsFile::MetricsFile(const std::filesystem::path& path, std::int64_t last_step, const std::filesystem::path& checkpoint)
    : columns_(open_log_table(path, metric_columns(), last_step, checkpoint)) {}

void MetricsFile::append(std::span<const StepMetrics> steps) {
  std::vector<std::vector<Columns::Value>> rows;
  for (const StepMetrics& metrics : steps) {
    std::vector<Columns::Value>& row = rows.emplace_back();
    for_each_metric([&](const char*, auto member) { row.emplace_back(metrics.*member); });
  }
  columns_.append_rows(rows);
}

}  // namespace expunge
