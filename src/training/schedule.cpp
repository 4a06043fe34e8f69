// Learning-rate schedules.
#include "training/schedule.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "expunge/error.h"

namespace expunge {

std::int64_t warmup_length(const ScheduleOptions& options, std::int64_t steps) {
  if (options.warmup_steps > 0) return options.warmup_steps;
  return static_cast<std::int64_t>(std::ceil(options.warmup_ratio * static_cast<double>(steps)));
}

double schedule_factor(ScheduleType type, std::int64_t step, std::int64_t warmup, std::int64_t steps) {
  if (step < warmup) return static_cast<double>(step) / static_cast<double>(warmup);
  const double progress = static_cast<double>(step - warmup) / static_cast<double>(std::max<std::int64_t>(1, steps - warmup));
  switch (type) {
    case ScheduleType::cosine:
      return std::max(0.0, (1 + std::cos(std::numbers::pi * progress)) / 2);
    case ScheduleType::linear:
      return std::max(0.0, 1 - progress);
    case ScheduleType::constant:
      return 1;
  }
  fail(ExitCode::internal, "schedule without a formula");
}

double largest_schedule_factor(ScheduleType type, std::int64_t warmup, std::int64_t steps) {
  // Factors rise during the warm-up and do not rise after it.
  return schedule_factor(type, std::min(warmup, steps - 1), warmup, steps);
}

}  // namespace expunge
