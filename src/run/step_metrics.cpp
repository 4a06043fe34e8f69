// Writes metrics.h5.
#include "run/step_metrics.h"

#include <type_traits>

#include "run/log_table.h"
#include "run/metric_columns.h"

namespace expunge {
namespace {

std::vector<Columns::Column> metric_columns() {
  std::vector<Columns::Column> columns;
  for_each_metric(StepMetrics{}, [&]<typename V>(const char* name, V) {
    columns.push_back(
        {std::string("/train/") + name, std::is_same_v<V, double> ? Columns::Kind::float64 : Columns::Kind::int64});
  });
  return columns;
}

}  // namespace

MetricsFile::MetricsFile(const std::filesystem::path& path, std::int64_t last_step, const std::filesystem::path& checkpoint)
    : columns_(open_log_table(path, metric_columns(), last_step, checkpoint)) {}

void MetricsFile::append(std::span<const StepMetrics> steps) {
  std::vector<std::vector<Columns::Value>> rows;
  for (const StepMetrics& metrics : steps) {
    std::vector<Columns::Value>& row = rows.emplace_back();
    for_each_metric(metrics, [&](const char*, auto value) { row.emplace_back(value); });
  }
  columns_.append_rows(rows);
}

}  // namespace expunge
