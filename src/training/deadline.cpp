// Compares the time that a run still needs with the time that it has.
#include "training/deadline.h"

#include <algorithm>

#include "core/interrupt.h"
#include "core/process.h"

namespace expunge {
namespace {

constexpr double kAtOnce = 1000;       // larger than any reason, so that a request to end at once has the larger number
constexpr double kCommonDisk = 500e6;  // bytes a second
// Times of steps and disks vary.
constexpr double kMargin = 1.1, kMarginSeconds = 1;

}  // namespace

std::string EndRequest::text() const { return reason == kTimeLimit ? "--max-walltime is near" : signal_name(reason) + " came"; }

double EndRequest::number() const { return reason + (at_once ? kAtOnce : 0); }

EndRequest EndRequest::of(double number) {
  const bool at_once = number >= kAtOnce;
  return {at_once, static_cast<int>(at_once ? number - kAtOnce : number)};
}

Deadline::Deadline(const DeadlineOptions& options, std::size_t state_bytes)
    : grace_(options.grace_seconds),
      limit_(options.max_walltime),
      checkpoint_(static_cast<double>(state_bytes) / kCommonDisk) {}

bool Deadline::fits(double seconds) const {
  return limit_ == 0 || seconds_running() + kMargin * (seconds + checkpoint_) + kMarginSeconds < limit_;
}

EndRequest Deadline::within_step(double seconds_left) const {
  if (!fits(0)) return {true, EndRequest::kTimeLimit};
  const int signal = InterruptSignals::received();
  if (signal == 0) return {};
  return {InterruptSignals::seconds_since() + seconds_left > grace_, signal};
}

EndRequest Deadline::between_steps(double seconds) const {
  const int signal = InterruptSignals::received();
  if (signal == 0 && !fits(seconds)) return {false, EndRequest::kTimeLimit};
  return {false, signal};
}

void Deadline::checkpoint_took(double seconds) {
  checkpoint_ = measured_ ? std::max(checkpoint_, seconds) : seconds;
  measured_ = true;
}

}  // namespace expunge
