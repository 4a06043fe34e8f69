// Pauses of a thread that polls for a condition.
#pragma once

#include <algorithm>
#include <chrono>
#include <thread>

namespace expunge {

/// The thread first spins and yields to other threads of its core, then sleeps for longer and longer times. On Linux a thread
/// that yields to a busy program may wait for that program's whole time slice. After such a yield the thread only sleeps for
/// a while, because it wakes from a sleep at once.
class Polling {
 public:
  /// Seconds since construction.
  double seconds() const { return std::chrono::duration<double>(Clock::now() - began_).count(); }
  void pause() {
    using std::chrono::microseconds;
    constexpr microseconds kAwake{1000}, kTurn{2000}, kCrowded{200'000}, kShortest{20}, kLongest{1000};
    const Clock::time_point now = Clock::now();
    if (now - began_ < kAwake && now > crowded_until_) {
      std::this_thread::yield();
      if (const Clock::time_point back = Clock::now(); back - now > kTurn) crowded_until_ = back + kCrowded;
    } else {
      std::this_thread::sleep_for(std::clamp<Clock::duration>((now - began_) / 32, kShortest, kLongest));
    }
  }

 private:
  using Clock = std::chrono::steady_clock;
  inline static thread_local Clock::time_point crowded_until_;
  Clock::time_point began_ = Clock::now();
};

}  // namespace expunge
