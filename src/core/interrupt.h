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

/// While one exists, the first of these signals is only noted and told of, and the run ends where it can go on later. The next
/// one ends the process at once; one that comes within a second of the first is the same request, which launchers that pass
/// signals on and batch systems that reach every process deliver twice. That stays so after the object's end, or a small run
/// that has left its checkpoint would die of the second delivery on its way out, and pass for a failure. One at a time.
/// SIGHUP and SIGINT stay ignored where the process began with them ignored: under nohup, in the background of a shell.
///
/// Signals reach a thread of the object's own: the thread that makes it, and those which that one starts later, block them. A
/// handler's frame lies below the stack pointer, and products of oneDNN on AVX2 let that point into their work space on the
/// heap: there the frame would fall on whatever lies before it.
class InterruptSignals {
 public:
  /// For what a run does before it first asks whether a signal came: hashing a large model, say.
  struct Unheeded {
    double seconds = 0;                                  ///< after the signal
    std::function<void(const std::string& signal)> end;  ///< ends the process, from another thread; none: it goes on
  };

  InterruptSignals() : InterruptSignals(Unheeded()) {}
  explicit InterruptSignals(Unheeded);
  ~InterruptSignals();
  InterruptSignals(const InterruptSignals&) = delete;
  InterruptSignals& operator=(const InterruptSignals&) = delete;

  /// From now on the run asks by itself.
  void heed();

  /// For a run that ends in order because of another process's signal: this process's own delivery of it, which may be on its
  /// way still, is the same request.
  static void received_elsewhere();

  /// Number of the signal that came, 0 for none.
  static int received();
  /// How long ago it came; 0 for none.
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

/// "SIGTERM"; the number for others than the four.
std::string signal_name(int number);

}  // namespace expunge
