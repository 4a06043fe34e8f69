// Signals that ask a run to end early: SIGUSR1, SIGTERM, SIGINT.
#pragma once

#include <string>

namespace expunge {

/// While one exists, the first of these signals is only noted, and the run ends where it can go on later. The next one ends the
/// process at once. One at a time.
class InterruptSignals {
 public:
  InterruptSignals();
  ~InterruptSignals();
  InterruptSignals(const InterruptSignals&) = delete;
  InterruptSignals& operator=(const InterruptSignals&) = delete;

  /// Number of the signal that came, 0 for none.
  static int received();
};

/// "SIGTERM"; the number for others than the three.
std::string signal_name(int number);

}  // namespace expunge
