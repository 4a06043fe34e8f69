// Plain files: whole reads, atomic writes, errors with the system's reason.
#include "io/files.h"

#include <gmock/gmock.h>
#include <sys/stat.h>

#include "support/temporary_folder.h"
#include "support/tiny_disk.h"

namespace expunge {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::UnorderedElementsAre;

TEST(Files, ReadsWholeFilesUpToTheLimit) {
  const TemporaryFolder folder;
  const std::string content(200000, 'a');
  const auto file = folder.write("a", content);
  EXPECT_EQ(read_file(file, content.size()), content);
  EXPECT_THAT(error_of(ExitCode::bad_input, [&] { read_file(file, content.size() - 1); }), HasSubstr("expected at most"));
  EXPECT_THAT(error_of(ExitCode::bad_input, [&] { read_file(folder / "none", 9); }), HasSubstr("No such file"));
  EXPECT_THAT(error_of(ExitCode::bad_input, [&] { read_file(folder.path(), 9); }),
              HasSubstr("it is a folder; expected a plain file"));
}

TEST(Files, AWholePathLeadsWhereThePathLeads) {
  namespace fs = std::filesystem;
  const TemporaryFolder folder;
  const fs::path here = fs::canonical(folder.path());
  fs::create_directories(here / "a" / "b");
  fs::create_directory_symlink(here / "a" / "b", here / "link");
  EXPECT_EQ(whole_path(here / "." / "x" / ".." / "new"), here / "new");
  EXPECT_EQ(whole_path(here / "a" / "b" / ".." / "new"), here / "a" / "new");
  EXPECT_EQ(whole_path(here / "link" / ".." / "new"), here / "a" / "new");
  EXPECT_EQ(whole_path(here / "link" / "new"), here / "link" / "new");  // links keep their names
}

TEST(Files, ListsAFolderByName) {
  const TemporaryFolder folder;
  folder.write("b", "");
  folder.write("a", "");
  EXPECT_THAT(list_folder(folder.path()), ElementsAre(folder / "a", folder / "b"));
  EXPECT_THAT(error_of(ExitCode::bad_input, [&] { list_folder(folder / "none"); }), HasSubstr("none"));
}

TEST(Files, WritesAtomically) {
  const TemporaryFolder folder;
  folder.write("a", "old");
  folder.write("a.tmp", "somebody else's");
  write_file_atomically(folder / "a", "new");
  EXPECT_EQ(slurp(folder / "a"), "new");
  EXPECT_THAT(folder.names(), UnorderedElementsAre("a", "a.tmp"));
  EXPECT_THAT(error_of(ExitCode::output, [&] { write_file_atomically(folder / "none/a", "x"); }), HasSubstr("No such file"));
  EXPECT_THAT(error_of(ExitCode::output, [&] { write_file_atomically(folder / "a/b", "x"); }), HasSubstr("Not a directory"));
}

TEST(Files, AnUncommittedFileLeavesTheOldOne) {
  const TemporaryFolder folder;
  folder.write("a", "old");
  {
    const PendingFile pending(folder / "a");
    write_new_file(pending.temporary(), "half");
  }
  EXPECT_EQ(slurp(folder / "a"), "old");
  EXPECT_THAT(folder.names(), ElementsAre("a"));
}

TEST(Files, AFullDiskKeepsTheOldFile) {
  const TinyDisk disk(256 << 10);
  if (!disk.ready()) GTEST_SKIP() << "only root can mount a small file system";
  const TemporaryFolder& folder = disk.folder();
  folder.write("a", "old");
  const std::string message =
      error_of(ExitCode::output, [&] { write_file_atomically(folder / "a", std::string(1 << 20, 'x')); });
  EXPECT_THAT(message, HasSubstr("No space left on device"));
  EXPECT_EQ(slurp(folder / "a"), "old");
  EXPECT_THAT(folder.names(), ElementsAre("a"));
}

TEST(Files, OnlyARegularFileMayBeReplaced) {
  const TemporaryFolder folder;
  folder.write("old", "x");
  EXPECT_NO_THROW(check_writable(folder / "old"));
  EXPECT_NO_THROW(check_writable(folder / "new"));
  ASSERT_EQ(mkfifo((folder / "pipe").c_str(), 0600), 0);
  EXPECT_THAT(error_of(ExitCode::output, [&] { check_writable(folder / "pipe"); }), HasSubstr("it is a named pipe"));
  EXPECT_THAT(error_of(ExitCode::output, [&] { check_writable(folder / "."); }), HasSubstr("it is a folder"));
  EXPECT_THAT(error_of(ExitCode::output, [&] { check_writable(folder / "none/x"); }), HasSubstr("there is no folder"));
}

TEST(Files, NothingButPlainFilesIsRead) {
  const TemporaryFolder folder;
  ASSERT_EQ(mkfifo((folder / "pipe").c_str(), 0600), 0);
  std::filesystem::create_symlink("/dev/zero", folder / "zero");
  EXPECT_THAT(error_of(ExitCode::bad_input, [&] { read_file(folder / "pipe", 9); }), HasSubstr("it is a named pipe"));
  EXPECT_THAT(error_of(ExitCode::bad_input, [&] { read_file(folder / "zero", 9); }), HasSubstr("it is a device"));
  EXPECT_THAT(error_of(ExitCode::bad_input, [&] { InputFile(folder.path()); }), HasSubstr("it is a folder"));
}

TEST(Files, NoLinkIsWrittenThrough) {
  const TemporaryFolder folder;
  folder.write("precious", "p");
  std::filesystem::create_symlink("precious", folder / "link");
  std::filesystem::create_hard_link(folder / "precious", folder / "second");
  EXPECT_THAT(error_of(ExitCode::output, [&] { write_file_atomically(folder / "link", "x"); }), HasSubstr("symbolic link"));
  EXPECT_THAT(error_of(ExitCode::output, [&] { AppendFile(folder / "link"); }), HasSubstr("symbolic link"));
  EXPECT_THAT(error_of(ExitCode::output, [&] { AppendFile(folder / "second"); }), HasSubstr("several names"));
  write_file_atomically(folder / "second", "x");
  EXPECT_EQ(slurp(folder / "precious"), "p");
  AppendFile("/dev/null").write("x");
}

TEST(Files, WhatCameMeanwhileIsKept) {
  const TemporaryFolder folder;
  PendingFile pending(folder / "a", Existing::keep);
  write_new_file(pending.temporary(), "mine");
  folder.write("a", "theirs");
  EXPECT_THAT(error_of(ExitCode::output, [&] { pending.commit(); }), HasSubstr("another process created it meanwhile"));
  EXPECT_EQ(slurp(folder / "a"), "theirs");
}

/// A folder may exist, let root in, and yet take nothing.
TEST(Files, APlaceIsTriedOut) {
  EXPECT_THAT(error_of(ExitCode::output, [] { check_writable("/proc/x"); }), HasSubstr("/proc/x: cannot be written: in /proc"));
  for (const char* path : {"/proc/x", "/proc/x/y/", "/proc"})
    EXPECT_THAT(error_of(ExitCode::output, [&] { check_folder_writable(path); }), HasSubstr("cannot be written: in /proc: "));
  const TemporaryFolder folder;
  folder.write("file", "x");
  EXPECT_NO_THROW(check_writable(folder / "file"));
  EXPECT_NO_THROW(check_folder_writable(folder / "a/b/c"));
  EXPECT_NO_THROW(check_folder_writable(folder.path()));
  EXPECT_THAT(error_of(ExitCode::output, [&] { check_folder_writable(folder / "file/a"); }), HasSubstr("Not a directory"));
  EXPECT_THAT(folder.names(), ElementsAre("file"));
  EXPECT_EQ(slurp(folder / "file"), "x");
}

}  // namespace
}  // namespace expunge
