// The thread that writes a rank's files while training goes on.
#pragma once

#include <atomic>
#include <condition_variable>
#include <deque>
#include <exception>
#include <functional>
#include <mutex>
#include <thread>

namespace expunge {

/// Does its work in order. HDF5 is not thread-safe: while there is work here that uses it, no other thread does, so a run's
/// files are read before the first work and after the last. None of it may call MPI: ranks agree on its outcome elsewhere.
class IoThread {
 public:
  IoThread();
  ~IoThread();
  IoThread(const IoThread&) = delete;
  IoThread& operator=(const IoThread&) = delete;

  /// Work after the first that throws is skipped.
  void enqueue(std::function<void()> work);
  /// Rethrows what work has thrown so far.
  void rethrow();
  /// Until nothing is left to do; rethrows.
  void wait();
  /// Drops what has not begun, waits for what has, and ends the thread.
  void stop();
  /// For long work: nobody waits for its result any more.
  bool stopping() const { return stopping_; }

 private:
  void run();

  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::function<void()>> queue_;
  bool busy_ = false;
  std::atomic<bool> stopping_ = false;
  std::exception_ptr error_;
  std::thread thread_;  // last: starts when everything above exists
};

}  // namespace expunge
