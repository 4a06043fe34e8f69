// The thread that writes a rank's files during training.
#pragma once

#include <atomic>
#include <condition_variable>
#include <deque>
#include <exception>
#include <functional>
#include <mutex>
#include <thread>

namespace expunge {

/// Runs work in order. HDF5 is not thread-safe: while work here uses it, no other thread may. A run therefore reads its files
/// before the first work and after the last. Work must not call MPI; the ranks agree on its outcome elsewhere.
class IoThread {
 public:
  IoThread();
  ~IoThread();
  IoThread(const IoThread&) = delete;
  IoThread& operator=(const IoThread&) = delete;

  /// Adds work; after an error, later work is skipped.
  void enqueue(std::function<void()> work);
  /// Rethrows an earlier error of the work.
  void rethrow();
  /// Waits until all work is done; rethrows its error.
  void wait();
  /// Drops work that has not started, waits for running work, and ends the thread.
  void stop();
  /// Lets long work stop early, because nobody waits for its result.
  bool stopping() const { return stopping_; }

 private:
  void run();

  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::function<void()>> queue_;
  bool busy_ = false;
  std::atomic<bool> stopping_ = false;
  std::exception_ptr error_;
  std::thread thread_;  // last member: the thread uses everything above
};

}  // namespace expunge
