// Weighing what is left to do against the time that is left.
#include "training/deadline.h"

#include <algorithm>

#include "core/interrupt.h"
#include "core/process.h"

namespace expunge {
namespace {

constexpr double kTimeLimit = 500;     // as a reason; signals are less
constexpr double kAtOnce = 1000;       // added to the reason
constexpr double kCommonDisk = 500e6;  // bytes a second
// Steps and disks are not always equally fast.
constexpr double kMargin = 1.1, kMarginSeconds = 1;

}  // namespace

EndInTime::EndInTime(const DeadlineOptions& options, std::size_t state_bytes)
    : grace_(options.grace_seconds),
      limit_(options.max_walltime),
      checkpoint_(static_cast<double>(state_bytes) / kCommonDisk) {}

bool EndInTime::fits(double seconds) const {
  return limit_ == 0 || seconds_running() + kMargin * (seconds + checkpoint_) + kMarginSeconds < limit_;
}

double EndInTime::within_step(double seconds_left) const {
  if (!fits(0)) return kAtOnce + kTimeLimit;
  const int signal = InterruptSignals::received();
  return signal + (InterruptSignals::seconds_since() + (signal == 0 ? 0 : seconds_left) > grace_ ? kAtOnce : 0);
}

double EndInTime::between_steps(double seconds) const {
  const int signal = InterruptSignals::received();
  return signal == 0 && !fits(seconds) ? kTimeLimit : signal;
}

void EndInTime::checkpoint_took(double seconds) {
  checkpoint_ = measured_ ? std::max(checkpoint_, seconds) : seconds;
  measured_ = true;
}

bool EndInTime::at_once(double urgency) { return urgency >= kAtOnce; }

bool EndInTime::is_time_limit(double urgency) { return (at_once(urgency) ? urgency - kAtOnce : urgency) == kTimeLimit; }

std::string EndInTime::reason(double urgency) {
  if (is_time_limit(urgency)) return "--max-walltime is near";
  return signal_name(static_cast<int>(at_once(urgency) ? urgency - kAtOnce : urgency)) + " came";
}

}  // namespace expunge
