// Signals that ask a run to end early: SIGUSR1, SIGTERM, SIGINT.
#pragma once

#include <string>

namespace expunge {

/// While one exists, the first of these signals is only noted, and the run ends where it can go on later. The next one ends the
/// process at once; one that comes within a second of the first is the same request, which launchers that pass signals on and
/// batch systems that reach every process deliver twice. That stays so after the object's end, or a small run that has left its
/// checkpoint would die of the second delivery on its way out, and pass for a failure. One at a time.
class InterruptSignals {
 public:
  InterruptSignals();
  ~InterruptSignals();
  InterruptSignals(const InterruptSignals&) = delete;
  InterruptSignals& operator=(const InterruptSignals&) = delete;

  /// For a run that ends in order because of another process's signal: this process's own delivery of it, which may be on its
  /// way still, is the same request.
  static void received_elsewhere();

  /// Number of the signal that came, 0 for none.
  static int received();
  /// How long ago it came; 0 for none.
  static double seconds_since();
};

/// "SIGTERM"; the number for others than the three.
std::string signal_name(int number);

}  // namespace expunge
