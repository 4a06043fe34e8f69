// Learning-rate schedules.
#pragma once

#include <cstdint>

#include "run/options.h"

namespace expunge {

/// Warm-up steps of a run: `warmup_steps` where it is above 0, else ceil(warmup_ratio x steps).
std::int64_t warmup_length(const ScheduleOptions& options, std::int64_t steps);

/// What the learning rate is multiplied by at step i (from 0): i / warm-up while i < warm-up; then, with progress from 0 to
/// 1 over the rest, (1 + cos(pi progress)) / 2, 1 - progress, or 1. As transformers' get_cosine_, linear_ and
/// constant_schedule_with_warmup, so any warm-up makes the first step's rate 0.
double schedule_factor(ScheduleType type, std::int64_t step, std::int64_t warmup, std::int64_t steps);

/// The largest factor of all steps.
double largest_schedule_factor(ScheduleType type, std::int64_t warmup, std::int64_t steps);

}  // namespace expunge
