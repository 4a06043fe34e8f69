// The columns of metrics.h5.
#include "expunge/train/metrics_file.h"

#include <type_traits>

#include "train/metric_columns.h"

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

MetricsFile::MetricsFile(const std::filesystem::path& path, std::int64_t last_step) : columns_(path, metric_columns()) {
  columns_.truncate_after("/train/step", last_step);
}

void MetricsFile::append(const StepMetrics& metrics) {
  std::vector<Columns::Value> row;
  for_each_metric(metrics, [&](const char*, auto value) { row.emplace_back(value); });
  columns_.append_row(row);
}

}  // namespace expunge
