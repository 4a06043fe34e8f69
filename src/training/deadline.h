// Ending a run before its last step: after a signal and its grace, or in time for --max-walltime.
#pragma once

#include <cstddef>
#include <string>

#include "run/options.h"

namespace expunge {

/// Each rank says how urgent it is to end as a number, and all do what the largest says: 0, go on; else end after the
/// optimizer step that is under way; or at once, which drops the step's partial gradients.
class EndInTime {
 public:
  /// Until a checkpoint has been written, one is expected to take as long as `state_bytes` on a common disk.
  EndInTime(const DeadlineOptions& options, std::size_t state_bytes);

  /// Within a step that takes `seconds_left` more. After a signal it is dropped when it does not end within the grace; for the
  /// time limit, which nobody is waiting for, when only the time for a checkpoint is left.
  double within_step(double seconds_left) const;
  /// Between steps, before one that takes `seconds`.
  double between_steps(double seconds) const;
  void checkpoint_took(double seconds);
  /// What one is expected to take.
  double checkpoint_seconds() const { return checkpoint_; }

  static bool at_once(double urgency);
  static bool is_time_limit(double urgency);
  /// "SIGTERM came", "--max-walltime is near".
  static std::string reason(double urgency);

 private:
  bool fits(double seconds) const;

  double grace_, limit_, checkpoint_;
  bool measured_ = false;
};

}  // namespace expunge
