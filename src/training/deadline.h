// Ends a run before its last step: after a signal and its grace, or in time for --max-walltime.
#pragma once

#include <compare>
#include <cstddef>
#include <string>

#include "run/options.h"

namespace expunge {

/// A request to end the run before its last step. The ranks agree on the largest request.
struct EndRequest {
  /// Drop the partial gradients of the current step; false: finish the step first. First, because it decides comparisons.
  bool at_once = false;
  int reason = 0;                         ///< kTimeLimit or the number of a signal; 0: no request
  static constexpr int kTimeLimit = 500;  ///< larger than any signal number

  explicit operator bool() const { return reason != 0; }
  auto operator<=>(const EndRequest& other) const = default;
  /// "SIGTERM came", "--max-walltime is near".
  std::string text() const;

  /// The request as a number for a max-reduction; larger requests have larger numbers.
  double number() const;
  /// The inverse of number().
  static EndRequest of(double number);
};

/// Compares the time that the run still needs with the time that it has.
class Deadline {
 public:
  /// Before the first checkpoint, its time is estimated as that of writing `state_bytes` to a common disk.
  Deadline(const DeadlineOptions& options, std::size_t state_bytes);

  /// The request inside a step that needs `seconds_left` more. A signal drops the step if it does not end within the grace.
  /// The time limit drops it only when no more time than for a checkpoint is left, because nobody waits for the run.
  EndRequest within_step(double seconds_left) const;
  /// The request between steps, before one that takes `seconds`.
  EndRequest between_steps(double seconds) const;
  /// Reports the time that a checkpoint took.
  void checkpoint_took(double seconds);
  /// The expected time of a checkpoint.
  double checkpoint_seconds() const { return checkpoint_; }

 private:
  bool fits(double seconds) const;

  double grace_, limit_, checkpoint_;
  bool measured_ = false;
};

}  // namespace expunge
