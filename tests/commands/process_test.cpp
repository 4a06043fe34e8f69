// Whole processes: what is printed where, and what the shell and mpirun get back.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string>

#include "session/launcher.h"

namespace expunge {
namespace {

using testing::HasSubstr;
using testing::Not;

struct Result {
  int code = -1;
  std::string text;  ///< standard output and error
  double seconds = 0;
};

Result shell(const std::string& line) {
  const auto began = std::chrono::steady_clock::now();
  std::FILE* const pipe = popen(("( " + line + " ) 2>&1").c_str(), "r");
  Result result;
  char part[4096];
  while (std::fgets(part, sizeof(part), pipe)) result.text += part;
  const int status = pclose(pipe);
  result.code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  result.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
  return result;
}

const std::string kProbe = EXPUNGE_PROBE;

Result on_ranks(int ranks, const std::string& arguments) {
  return shell("OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 timeout 60 " + std::string(EXPUNGE_MPIEXEC) +
               " --oversubscribe --bind-to none -n " + std::to_string(ranks) + " " + kProbe + " " + arguments);
}

int count(const std::string& text, const std::string& part) {
  int n = 0;
  for (auto at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++n;
  return n;
}

TEST(Process, HelpAndVersion) {
  for (const char* line : {" --help", " -h", " help"}) {
    const Result r = shell(kProbe + line);
    EXPECT_EQ(r.code, 0);
    EXPECT_THAT(r.text, HasSubstr("usage: expunge COMMAND"));
    EXPECT_THAT(r.text, HasSubstr("everywhere"));
  }
  for (const char* line : {" early --help", " help early", " early --nonsense -h"}) {
    const Result r = shell(kProbe + line);
    EXPECT_EQ(r.code, 0);
    EXPECT_THAT(r.text, HasSubstr("usage: expunge probe --code N [options]"));
    EXPECT_THAT(r.text, HasSubstr("--rank N"));
  }
  const Result version = shell(kProbe + " --version");
  EXPECT_EQ(version.code, 0);
  for (const char* part : {"expunge 0.", "oneDNN", "HDF5", "MPI", "kernels"}) EXPECT_THAT(version.text, HasSubstr(part));
}

TEST(Process, UsageErrors) {
  const Result nothing = shell(kProbe);
  EXPECT_EQ(nothing.code, 2);
  EXPECT_THAT(nothing.text, HasSubstr("usage: expunge COMMAND"));
  EXPECT_EQ(shell(kProbe + " > /dev/null").text, nothing.text);
  const Result unknown = shell(kProbe + " erly --code 3");
  EXPECT_EQ(unknown.code, 2);
  EXPECT_EQ(unknown.text, "expunge: error: unknown command erly; did you mean early?\n");
  EXPECT_EQ(shell(kProbe + " help nonsense").code, 2);
  const Result missing = shell(kProbe + " early");
  EXPECT_EQ(missing.code, 2);
  EXPECT_THAT(missing.text, HasSubstr("expunge probe needs --code N"));
}

TEST(Process, ExitCodesAndMessages) {
  for (const int code : {3, 4, 5, 6, 7, 75}) {
    const Result r = shell(kProbe + " early --code " + std::to_string(code));
    EXPECT_EQ(r.code, code);
    EXPECT_EQ(r.text, "expunge: error: failed early\n");
  }
  const Result internal = shell(kProbe + " early --code 1");
  EXPECT_EQ(internal.code, 1);
  EXPECT_THAT(internal.text, HasSubstr("probe.cpp:"));
  const Result foreign = shell(kProbe + " foreign --code 3");
  EXPECT_EQ(foreign.code, 1);
  EXPECT_EQ(foreign.text, "expunge: error: not ours\n");
  EXPECT_EQ(shell(kProbe + " return --code 75").code, 75);
}

/// What the machine has no room for is no bug, and the message says what to do.
TEST(Process, LimitsAreNoInternalErrors) {
  const std::pair<const char*, std::pair<int, const char*>> kCases[] = {
      {" memory", {2, "expunge: error: out of memory: allow more (ulimit -v, --mem of Slurm), start more ranks"}},
      {" length", {3, "expunge: error: an input file contains an impossible size (vector::"}},
      {" thread", {2, "expunge: error: no further thread can be started: allow more threads or memory (ulimit -u"}},
      {" long-name", {3, "...: File name too long: a name may have 255 bytes and a path 4095; give a shorter one\n"}},
      {" full", {4, "expunge: error: some/file: No space left on device\n"}},
      {" denied", {3, "expunge: error: some/file: Permission denied\n"}},
  };
  for (const auto& [command, expected] : kCases) {
    const Result r = shell(kProbe + command + " --code 0");
    EXPECT_EQ(r.code, expected.first) << command;
    EXPECT_THAT(r.text, HasSubstr(expected.second));
    EXPECT_LT(r.text.size(), 400u);
  }
  const Result gone = shell("mkdir -p gone && cd gone && rmdir ../gone && " + kProbe + " relative --code 0");
  EXPECT_EQ(gone.code, 2);
  EXPECT_THAT(gone.text, HasSubstr("expunge: error: some/file: a relative path, and the working folder is gone (No such file"));
}

TEST(Process, PrintingOnAFullOrClosedStandardOutputIsAFailure) {
  for (const char* line : {" --help", " --version", " help early", " print --code 0"}) {
    const Result full = shell(kProbe + line + " 2>&1 >/dev/full");
    EXPECT_EQ(full.code, 4) << line;
    EXPECT_THAT(full.text, HasSubstr("expunge: error: standard output: the output is incomplete: No space left on device;"));
    const Result closed = shell(kProbe + line + " 2>&1 >&-");
    EXPECT_EQ(closed.code, 4) << line;
    EXPECT_THAT(closed.text, HasSubstr("the output is incomplete: it is closed;"));
  }
  EXPECT_EQ(shell(kProbe + " print --code 7").code, 7);
  EXPECT_EQ(shell(kProbe + " print --code 7").text, "printed\n");
  EXPECT_EQ(shell(kProbe + " return --code 0 >&-").code, 0);  // nothing was printed
}

TEST(Process, AnErrorOnAClosedStandardErrorKeepsItsExitCode) {
  for (const char* where : {" 2>&-", " 2>/dev/full", " <&- >&- 2>&-"})
    EXPECT_EQ(shell(kProbe + " early --code 5" + where).code, 5) << where;
}

/// A limit on file sizes and a reader that is gone would kill the process, and leave its temporary files.
TEST(Process, WritesFailWhereTheyWouldKill) {
  const Result large = shell("ulimit -f 1; " + kProbe + " write --code 0");
  EXPECT_EQ(large.code, 4);
  EXPECT_THAT(large.text, HasSubstr("File too large"));
  EXPECT_EQ(shell("d=$(mktemp -d); mkfifo $d/p; true <$d/p & exec 3>$d/p; wait; rm -r $d; " + kProbe +
                  " print --code 0 >&3; echo code $?")
                .text,
            "expunge: error: standard output: the output is incomplete: Broken pipe; give it a file with room, or a reader "
            "that takes all of it\ncode 4\n");
}

/// With closed streams, the first file that is opened must not become the standard output.
TEST(Process, AFileDoesNotTakeTheNumberOfAClosedStream) {
  EXPECT_EQ(shell(kProbe + " number --code 0 <&- >&-; echo code $?").text, "code 0\n");
}

TEST(Process, PrintConfigPrintsTheOptionsAndDoesNothing) {
  const Result r = shell(kProbe + " early --code 3 --print-config");
  EXPECT_EQ(r.code, 0);
  EXPECT_THAT(r.text, HasSubstr("# Options of `expunge probe`, as given; --config reads them back.\n"));
  EXPECT_THAT(r.text, HasSubstr("\ncode = 3\nrank = 0\n"));
  EXPECT_THAT(r.text, Not(HasSubstr("print-config")));
  EXPECT_EQ(shell(kProbe + " early --code 3 --print-config false").code, 3);
  EXPECT_EQ(shell(kProbe + " early --print-config").code, 2);
  EXPECT_EQ(count(on_ranks(2, "early --code 3 --print-config").text, "code = 3"), 1);
}

TEST(Process, OneRankOfMany) {
  const Result r = on_ranks(3, "one --code 5 --rank 2");
  EXPECT_EQ(r.code, 5);
  EXPECT_EQ(count(r.text, "expunge: error"), 1) << r.text;
  EXPECT_THAT(r.text, HasSubstr("expunge: error on rank 2 of 3: failed alone"));
  EXPECT_LT(r.seconds, 60);
}

TEST(Process, AllRanksFailingSayItOnce) {
  const Result r = on_ranks(3, "everywhere --code 4");
  EXPECT_EQ(r.code, 4);
  EXPECT_EQ(count(r.text, "expunge: error"), 1) << r.text;
  EXPECT_THAT(r.text, HasSubstr("expunge: error on rank 0 of 3: failed everywhere"));
}

TEST(Process, UsageErrorUnderMpirunIsSaidOnce) {
  const Result r = on_ranks(3, "early --cod 4");
  EXPECT_EQ(r.code, 2);
  EXPECT_EQ(count(r.text, "expunge: error"), 1) << r.text;
  EXPECT_THAT(r.text, HasSubstr("unknown option --cod; did you mean --code?"));
}

TEST(Process, HelpUnderMpirunIsSaidOnce) { EXPECT_EQ(count(on_ranks(2, "--help").text, "usage: expunge COMMAND"), 1); }

TEST(Process, CommandsOfOneProcessRefuseMore) {
  const Result r = on_ranks(2, "single --code 0");
  EXPECT_EQ(r.code, 2);
  EXPECT_THAT(r.text, HasSubstr("expunge single runs as one process, but 2 were launched"));
  EXPECT_EQ(on_ranks(1, "single --code 0").code, 0);
  EXPECT_EQ(shell("SLURM_PROCID=0 SLURM_STEP_NUM_TASKS=2 " + kProbe + " single --code 0").code, 2);
}

/// Variables of the launchers, as each test wants them.
class LauncherTest : public testing::Test {
 protected:
  void SetUp() override {
    for (const char* name :
         {"OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE", "PMIX_RANK", "SLURM_PROCID", "SLURM_STEP_NUM_TASKS"})
      unsetenv(name);
  }
  void TearDown() override { SetUp(); }
  static void expect(int rank, int size) {
    EXPECT_EQ(launch_info().rank, rank);
    EXPECT_EQ(launch_info().size, size);
  }
};

TEST_F(LauncherTest, ReadsThePlace) {
  expect(0, 1);
  setenv("SLURM_PROCID", "3", 1);
  setenv("SLURM_STEP_NUM_TASKS", "4", 1);
  expect(3, 4);
  setenv("PMIX_RANK", "2", 1);
  expect(2, 4);
  setenv("OMPI_COMM_WORLD_RANK", "1", 1);
  setenv("OMPI_COMM_WORLD_SIZE", "2", 1);
  expect(1, 2);
}

TEST_F(LauncherTest, IgnoresWhatIsNoNumber) {
  setenv("OMPI_COMM_WORLD_RANK", "x", 1);
  setenv("SLURM_PROCID", "-1", 1);
  setenv("SLURM_STEP_NUM_TASKS", "", 1);
  expect(0, 1);
}

}  // namespace
}  // namespace expunge
