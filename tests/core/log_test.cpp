// Lines of the log and of the progress bar.
#include "core/log.h"

#include <gtest/gtest.h>

#include <limits>
#include <string>

namespace expunge {
namespace {

TEST(Log, FormatsForPeople) {
  EXPECT_EQ(format_duration(59.6), "1 min 00 s");
  EXPECT_EQ(format_duration(3720), "1 h 02 min");
  for (const double any : {1e300, std::numeric_limits<double>::infinity(), std::numeric_limits<double>::quiet_NaN()})
    EXPECT_EQ(format_duration(any), format_duration(1e15)) << any;
  EXPECT_EQ(format_bytes(1536), "1.5 KiB");
  EXPECT_EQ(format_bytes(999), "999 B");
}

TEST(Log, ANarrowTerminalHoldsWholeFigures) {
  const std::string line = "train [##------] 1/4 | 12 s left | loss 2.3141 | 812 tokens/s";
  EXPECT_EQ(fit_figures(line, line.size()), line);
  EXPECT_EQ(fit_figures(line, line.size() - 1), "train [##------] 1/4 | 12 s left | loss 2.3141");
  EXPECT_EQ(fit_figures(line, 46), "train [##------] 1/4 | 12 s left | loss 2.3141");
  EXPECT_EQ(fit_figures(line, 45), "train [##------] 1/4 | 12 s left");
  EXPECT_EQ(fit_figures(line, 10), "train [##-");
}

}  // namespace
}  // namespace expunge
