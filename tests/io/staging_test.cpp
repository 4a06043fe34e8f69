// Staging folders: removed where their maker is dead, left alone where it lives or is somebody else.
#include "io/staging.h"

#include <gmock/gmock.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "io/files.h"
#include "support/temporary_folder.h"

namespace expunge {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::UnorderedElementsAre;

/// Leaves a staging folder of a killed process, in which `file` was being written.
fs::path leave_staging(const TemporaryFolder& folder, const std::string& name) {
  int ready[2];
  EXPECT_EQ(pipe(ready), 0);
  const pid_t child = fork();
  if (child == 0) {
    const Staging staging(folder.path(), name);
    write_new_file(staging.folder() / name, "half");
    const std::string path = staging.folder().string();
    (void)!::write(ready[1], path.data(), path.size());
    pause();
  }
  char path[4096] = {};
  EXPECT_GT(::read(ready[0], path, sizeof path - 1), 0);
  kill(child, SIGKILL);
  waitpid(child, nullptr, 0);
  return path;
}

TEST(Staging, IsRemovedWithItsContent) {
  const TemporaryFolder folder;
  {
    const Staging staging(folder.path(), "out");
    write_new_file(staging.folder() / "out", "x");
    EXPECT_TRUE(is_staging(staging.folder()));
  }
  EXPECT_THAT(folder.names(), IsEmpty());
}

TEST(Staging, TheNextOfTheSameOutputRemovesWhatAKilledOneLeft) {
  const TemporaryFolder folder;
  const fs::path left = leave_staging(folder, "out");
  EXPECT_TRUE(fs::exists(left / "out"));
  const Staging other(folder.path(), "other");
  EXPECT_TRUE(fs::exists(left / "out"));
  const Staging same(folder.path(), "out");
  EXPECT_FALSE(fs::exists(left));
  EXPECT_TRUE(fs::exists(other.folder()));
}

TEST(Staging, ALiveOneIsLeftAlone) {
  const TemporaryFolder folder;
  const Staging first(folder.path(), "out");
  const Staging second(folder.path(), "out");
  remove_stale_staging(folder.path());
  EXPECT_TRUE(fs::exists(first.folder()));
  EXPECT_TRUE(fs::exists(second.folder()));
}

TEST(Staging, WhatOthersNameAlikeStays) {
  const TemporaryFolder folder;
  folder.write(".out.expunge-0123456789ab/out", "no lock");
  folder.write(".out.expunge-0123456789ac/.lock", "not our mark");
  folder.write(".out.expunge-0123456789ad/.lock", "");
  folder.write(".out.expunge-0123456789ad/more", "beside an empty lock");
  folder.write(".out.expunge-0123456789ae", "a file");
  fs::create_directory(folder / "elsewhere");
  fs::create_directory_symlink("elsewhere", folder / ".out.expunge-0123456789af");
  const auto before = folder.names();
  { const Staging staging(folder.path(), "out"); }
  EXPECT_THAT(folder.names(), testing::UnorderedElementsAreArray(before));
  EXPECT_EQ(slurp(folder / ".out.expunge-0123456789ac/.lock"), "not our mark");
}

TEST(Staging, WhatAStartThatWasKilledAtOnceLeftGoes) {
  const TemporaryFolder folder;
  fs::create_directory(folder / ".out.expunge-0123456789ab");
  folder.write(".out.expunge-0123456789ac/.lock", "");
  { const Staging staging(folder.path(), "out"); }
  EXPECT_THAT(folder.names(), IsEmpty());
}

TEST(Staging, LongNamesFit) {
  const TemporaryFolder folder;
  write_file_atomically(folder / std::string(255, 'n'), "x");
  EXPECT_THAT(folder.names(), ElementsAre(std::string(255, 'n')));
}

}  // namespace
}  // namespace expunge
