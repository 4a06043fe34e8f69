// The pauses of a thread that has to ask again and again whether something is done.
#pragma once

#include <algorithm>
#include <chrono>
#include <thread>

namespace expunge {

/// None between the first polls, for what is done soon; then naps that grow with the wait, so that the core is left to others.
/// No pause yields: Linux makes a thread that yields wait until the others on its core had their turns.
class Polling {
 public:
  /// Since this was made.
  double seconds() const { return std::chrono::duration<double>(Clock::now() - began_).count(); }
  void pause() {
    using std::chrono::microseconds;
    constexpr int kPollsAwake = 50;
    constexpr microseconds kShortest{20}, kLongest{1000};
    if (++polls_ < kPollsAwake) return;
    std::this_thread::sleep_for(std::clamp<Clock::duration>((Clock::now() - began_) / 32, kShortest, kLongest));
  }

 private:
  using Clock = std::chrono::steady_clock;
  Clock::time_point began_ = Clock::now();
  int polls_ = 0;
};

}  // namespace expunge
