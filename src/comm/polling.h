// The pauses of a thread that has to ask again and again whether something is done.
#pragma once

#include <algorithm>
#include <chrono>
#include <thread>

namespace expunge {

/// At first the thread stays awake, for what is done soon, and yields to threads that wait for its core. Then it naps, the
/// longer the longer it waits. Linux lets a thread that yields to a busy program wait for the whole of that program's turn:
/// after such a yield there are only naps for a while, from which a thread comes back at once.
class Polling {
 public:
  /// Since this was made.
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
