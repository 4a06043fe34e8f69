// For tests: whether the time that a reader takes grows with the size of its input, and no faster.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>

#include "support/processor_time.h"

namespace expunge {

/// The least of three runs.
template <typename Action>
double least_seconds(const Action& action) {
  double least = 1e9;
  for (int run = 0; run < 3; ++run) {
    const double began = processor_seconds();
    action();
    least = std::min(least, processor_seconds() - began);
  }
  return least;
}

/// `read` takes what `make` gives for `size`, and for four times that: about 4 times the time where it is linear, 16 times
/// where it is the square. `size` is large enough where the smaller one takes 5 ms.
template <typename Make, typename Read>
void expect_linear_time(std::size_t size, const Make& make, const Read& read) {
  const auto small = make(size), large = make(4 * size);
  const double once = least_seconds([&] { read(small); }), four_times = least_seconds([&] { read(large); });
  EXPECT_LT(four_times, 9 * std::max(once, 0.002))
      << "input of " << size << ": " << once << " s, of " << 4 * size << ": " << four_times << " s";
}

}  // namespace expunge
