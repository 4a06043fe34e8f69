// Standard output and the log on streams that take nothing.
#include "core/standard_streams.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>

#include "core/log.h"
#include "expunge/error.h"

namespace expunge {
namespace {

/// Ends with the exit code that printing leads to, with `stream` open on `path`.
[[noreturn]] void print_with(int stream, const char* path) {
  const int file = ::open(path, O_WRONLY);
  ::dup2(file, stream);
  ::close(file);
  try {
    log_setup(0, 1, false);
    log_info("information");
    log_warning("a warning");
    Progress progress("work", 2, 0, 1);
    progress.advance("figures");
    progress.finish();
    print_result("{} {}\n", "a", "line");
    print_text("another\n");
    check_printed();
  } catch (const Error& error) {
    std::exit(static_cast<int>(error.code()));
  }
  std::exit(0);
}

TEST(StandardStreamsDeathTest, AFullStandardOutputIsAFailure) {
  EXPECT_EXIT(print_with(STDOUT_FILENO, "/dev/full"), testing::ExitedWithCode(4), "information");
  EXPECT_EXIT(print_with(STDOUT_FILENO, "/dev/null"), testing::ExitedWithCode(0), "information");
}

TEST(StandardStreamsDeathTest, AFullLogIsNone) {
  EXPECT_EXIT(print_with(STDERR_FILENO, "/dev/full"), testing::ExitedWithCode(0), "");
}

TEST(StandardStreamsDeathTest, NothingIsPrintedAfterAGap) {
  EXPECT_EXIT(
      {
        int ends[2];
        if (::pipe(ends) != 0 || ::dup2(ends[1], STDOUT_FILENO) < 0) std::exit(1);
        print_text("before\n");
        ::dup2(::open("/dev/full", O_WRONLY), STDOUT_FILENO);
        print_text("lost\n");
        ::dup2(ends[1], STDOUT_FILENO);
        print_text("after\n");
        char text[64];
        std::exit(::read(ends[0], text, sizeof text) == 7 ? 0 : 1);
      },
      testing::ExitedWithCode(0), "");
}

/// Held, a closed stream is nobody's file, and printing on it fails.
TEST(StandardStreamsDeathTest, AClosedStreamIsHeld) {
  EXPECT_EXIT(
      {
        ::close(STDIN_FILENO);
        ::close(STDOUT_FILENO);
        hold_standard_streams();
        if (::open("/dev/null", O_WRONLY) <= STDERR_FILENO) std::exit(1);
        print_text("a line\n");
        try {
          check_printed();
        } catch (const Error& error) {
          std::exit(std::string(error.what()).find("it is closed") != std::string::npos ? static_cast<int>(error.code()) : 1);
        }
        std::exit(0);
      },
      testing::ExitedWithCode(4), "");
}

}  // namespace
}  // namespace expunge
