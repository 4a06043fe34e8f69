// Learning-rate schedules.
#pragma once

#include <cstdint>

#include "run/options.h"

namespace expunge {

/// Warm-up steps of a run: warmup_steps if positive, else ceil(warmup_ratio x steps).
std::int64_t warmup_length(const ScheduleOptions& options, std::int64_t steps);

/// Factor of the learning rate at step i (from 0). During the warm-up it is i / warm-up. After it, with progress from 0 to 1,
/// it is (1 + cos(pi progress)) / 2, 1 - progress, or 1. These are transformers' get_cosine_, linear_ and
/// constant_schedule_with_warmup; any warm-up makes the first step's rate 0.
double schedule_factor(ScheduleType type, std::int64_t step, std::int64_t warmup, std::int64_t steps);

/// The largest factor over all steps.
double largest_schedule_factor(ScheduleType type, std::int64_t warmup, std::int64_t steps);

}  // namespace expunge
