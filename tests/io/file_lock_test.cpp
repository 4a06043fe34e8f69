// A lock: one holder, who is named; nothing left of a holder that died.
#include "expunge/io/file_lock.h"

#include <gmock/gmock.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/temporary_folder.h"

namespace expunge {
namespace {

using testing::HasSubstr;

TEST(FileLock, TheSecondIsToldWhoHasIt) {
  const TemporaryFolder folder;
  {
    const FileLock lock(folder / "lock", "process 7 on host far");
    EXPECT_THAT(error_of(ExitCode::usage, [&] { FileLock second(folder / "lock", "me"); }),
                testing::AllOf(HasSubstr("in use by process 7 on host far"), HasSubstr("remove")));
  }
  EXPECT_TRUE(folder.names().empty());
  const FileLock again(folder / "lock", "me");
  EXPECT_EQ(slurp(folder / "lock"), "me");
}

TEST(FileLock, EndsWithItsProcess) {
  const TemporaryFolder folder;
  int ready[2];
  ASSERT_EQ(pipe(ready), 0);
  const pid_t child = fork();
  if (child == 0) {
    const FileLock lock(folder / "lock", "the child, with a longer description");
    (void)!write(ready[1], "x", 1);
    pause();
  }
  char byte = 0;
  ASSERT_EQ(read(ready[0], &byte, 1), 1);
  EXPECT_THAT(error_of(ExitCode::usage, [&] { FileLock second(folder / "lock", "me"); }), HasSubstr("the child"));
  kill(child, SIGKILL);
  waitpid(child, nullptr, 0);
  EXPECT_THAT(slurp(folder / "lock"), HasSubstr("the child"));
  const FileLock lock(folder / "lock", "me");
  EXPECT_EQ(slurp(folder / "lock"), "me");
}

TEST(FileLock, NeedsAFolder) {
  const TemporaryFolder folder;
  EXPECT_THAT(error_of(ExitCode::output, [&] { FileLock lock(folder / "none" / "lock", "me"); }), HasSubstr("No such file"));
}

}  // namespace
}  // namespace expunge
