// The columns of metrics.h5.
#include "expunge/train/metrics_file.h"

namespace expunge {
namespace {

std::vector<Columns::Column> metric_columns() {
  using enum Columns::Kind;
  return {{"/train/step", int64},
          {"/train/loss", float64},
          {"/train/loss_forget", float64},
          {"/train/loss_retain", float64},
          {"/train/learning_rate", float64},
          {"/train/grad_norm", float64},
          {"/train/tokens", int64},
          {"/train/tokens_per_second", float64},
          {"/train/memory_bytes", int64},
          {"/train/model_state_bytes", int64}};
}

}  // namespace

MetricsFile::MetricsFile(const std::filesystem::path& path, std::int64_t last_step) : columns_(path, metric_columns()) {
  columns_.truncate_after("/train/step", last_step);
}

void MetricsFile::append(const StepMetrics& m) {
  const Columns::Value row[] = {m.step,      m.loss,   m.loss_forget,       m.loss_retain,  m.learning_rate,
                                m.grad_norm, m.tokens, m.tokens_per_second, m.memory_bytes, m.model_state_bytes};
  columns_.append_row(row);
}

}  // namespace expunge
