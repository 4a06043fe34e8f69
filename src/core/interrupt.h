// Signals that ask a run to end early: SIGUSR1, SIGTERM, SIGINT, SIGHUP.
#pragma once

#include <condition_variable>
#include <csignal>
#include <functional>
#include <mutex>
#include <stop_token>
#include <string>
#include <thread>

namespace expunge {

/// While an object exists, the first of these signals is only recorded and logged; the run stops at the next resumable point.
/// The second signal ends the process at once. A signal within one second of the first counts as the same request: launchers
/// forward signals, and batch systems signal every process. The handlers stay after the object's end: otherwise the second
/// delivery would kill a run that has just written its checkpoint. Only one object may exist at a time. SIGHUP and SIGINT
/// stay ignored if the process was started with them ignored (nohup, a background job of a shell).
///
/// A thread of the object receives the signals; the creating thread and the threads that it starts later block them.
/// Reason: a handler's frame lies below the stack pointer, and oneDNN's AVX2 products point that register into their heap
/// work space. A handler in such a thread would overwrite the heap.
class InterruptSignals {
 public:
  /// What to do while the run does not yet poll for signals, for example while it hashes a large model.
  struct Unheeded {
    double seconds = 0;                                  ///< grace period after the signal
    std::function<void(const std::string& signal)> end;  ///< ends the process, from another thread; unset: the run continues
  };

  InterruptSignals() : InterruptSignals(Unheeded()) {}
  explicit InterruptSignals(Unheeded);
  ~InterruptSignals();
  InterruptSignals(const InterruptSignals&) = delete;
  InterruptSignals& operator=(const InterruptSignals&) = delete;

  /// Tells the object that the run polls received() from now on.
  void heed();

  /// For a run that stops because another process received a signal. The same signal may still be on its way to this
  /// process; it then counts as the same request.
  static void received_elsewhere();

  /// Number of the received signal, 0 for none.
  static int received();
  /// Seconds since it was received; 0 for none.
  static double seconds_since();

 private:
  void receive(const std::stop_token& stop);

  Unheeded unheeded_;
  std::mutex mutex_;
  std::condition_variable_any change_;
  bool heeded_ = false;
  std::jthread receiver_;
  sigset_t mask_before_;
};

/// "SIGTERM"; for other signals than the four, "signal" and the number.
std::string signal_name(int number);

}  // namespace expunge
