// A lock: one holder, who is named; nothing left of a holder that died.
#include "io/file_lock.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/temporary_folder.h"

namespace expunge {
namespace {

using testing::HasSubstr;

TEST(FileLock, TheSecondIsToldWhoHasIt) {
  const TemporaryFolder folder;
  {
    const FileLock lock(folder / "lock");
    EXPECT_THAT(error_of(ExitCode::usage, [&] { FileLock second(folder / "lock"); }),
                testing::AllOf(HasSubstr(fmt::format("in use by process {} on host", getpid())), HasSubstr("remove")));
  }
  EXPECT_TRUE(folder.names().empty());
  const FileLock again(folder / "lock");
  EXPECT_THAT(slurp(folder / "lock"), testing::StartsWith(fmt::format("process {} on", getpid())));
}

TEST(FileLock, EndsWithItsProcess) {
  const TemporaryFolder folder;
  int ready[2];
  ASSERT_EQ(pipe(ready), 0);
  const pid_t child = fork();
  if (child == 0) {
    const FileLock lock(folder / "lock");
    (void)!write(ready[1], "x", 1);
    pause();
  }
  char byte = 0;
  ASSERT_EQ(read(ready[0], &byte, 1), 1);
  EXPECT_THAT(error_of(ExitCode::usage, [&] { FileLock second(folder / "lock"); }),
              HasSubstr(fmt::format("process {} on", child)));
  kill(child, SIGKILL);
  waitpid(child, nullptr, 0);
  EXPECT_THAT(slurp(folder / "lock"), HasSubstr(fmt::format("process {} on", child)));
  const FileLock lock(folder / "lock");
  EXPECT_THAT(slurp(folder / "lock"), testing::StartsWith(fmt::format("process {} on", getpid())));
}

TEST(FileLock, WhatSomebodyElsePutThereIsNotWritten) {
  const TemporaryFolder folder;
  folder.write("precious", "p");
  std::filesystem::create_symlink("precious", folder / "link");
  std::filesystem::create_hard_link(folder / "precious", folder / "hard");
  folder.write("text", "not a lock");
  ASSERT_EQ(mkfifo((folder / "pipe").c_str(), 0600), 0);
  const auto refusal = [&](const char* name) { return error_of(ExitCode::output, [&] { FileLock lock(folder / name); }); };
  EXPECT_THAT(refusal("link"), HasSubstr("symbolic link"));
  EXPECT_THAT(refusal("hard"), HasSubstr("several names"));
  EXPECT_THAT(refusal("text"), HasSubstr("did not write it"));
  EXPECT_THAT(refusal("pipe"), HasSubstr("no plain file"));
  EXPECT_EQ(slurp(folder / "precious"), "p");
  EXPECT_EQ(slurp(folder / "text"), "not a lock");
}

TEST(FileLock, NeedsAFolder) {
  const TemporaryFolder folder;
  EXPECT_THAT(error_of(ExitCode::output, [&] { FileLock lock(folder / "none" / "lock"); }), HasSubstr("No such file"));
}

}  // namespace
}  // namespace expunge
