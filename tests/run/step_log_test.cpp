// Tests of a run's logs: a damaged metrics.h5, JSON lines over a resume, TensorBoard's bytes.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "io/hdf5_seal.h"
#include "run/jsonl_log.h"
#include "run/step_metrics.h"
#include "run/tensorboard.h"
#include "support/temporary_folder.h"

namespace expunge {
namespace {

std::string hex(const std::string& bytes) {
  std::string text;
  for (const unsigned char c : bytes) {
    text += "0123456789abcdef"[c >> 4];
    text += "0123456789abcdef"[c & 15];
  }
  return text;
}

StepMetrics metrics(std::int64_t step) {
  return {step, -0.5 * static_cast<double>(step), 0.25, std::nan(""), 2e-5, 1.5, 4096, 1e3, 1 << 20, 1 << 10};
}

std::vector<std::int64_t> steps(const std::filesystem::path& path) {
  std::vector<std::int64_t> found;
  std::istringstream lines(slurp(path));
  for (std::string line; std::getline(lines, line);) found.push_back(nlohmann::json::parse(line)["step"]);
  return found;
}

// Golden bytes: tests/fixtures/make_tensorboard_fixture.py
TEST(Tensorboard, FramesARecord) { EXPECT_EQ(hex(tf_record("expunge")), "0700000000000000bbd79f11657870756e676506c2506e"); }

TEST(Tensorboard, EncodesEvents) {
  EXPECT_EQ(hex(version_event(1.5)), "09000000000000f83f1a0d627261696e2e4576656e743a32");
  EXPECT_EQ(hex(start_event(1.5, 301)), "09000000000000f83f10ad023a020801");
  EXPECT_EQ(hex(scalar_event(1.5, 300, {{"train/loss", -0.25f}, {"train/tokens", 4096.0f}})),
            "09000000000000f83f10ac022a280a110a0a747261696e2f6c6f737315000080be0a130a0c747261696e2f746f6b656e731500008045");
}

TEST(Tensorboard, AResumedRunWritesANewFileThatBeginsAtItsStep) {
  const TemporaryFolder folder;
  { TensorboardFile(folder / "first", 0).append(metrics(1)); }
  TensorboardFile(folder / "second", 7).append(metrics(8));
  const auto content = [&](const char* name) {
    std::string bytes;
    for (const auto& entry : std::filesystem::directory_iterator(folder / name)) bytes += slurp(entry.path());
    return bytes;
  };
  EXPECT_EQ(content("first").find("\x3a\x02\x08\x01"), std::string::npos);
  EXPECT_NE(content("second").find(std::string("\x10\x08\x3a\x02\x08\x01")), std::string::npos);  // step 8, START
  EXPECT_NE(content("second").find("train/grad_norm"), std::string::npos);
  EXPECT_EQ(content("second").find("train/loss_retain"), std::string::npos);  // not a number
}

// Where a column's rows lie is looked up when they are read or dropped, not when the file is opened. Of the ten columns the
// first, the steps, is read, and stays whole.
TEST(MetricsFile, WhoseRowsCannotBeDroppedIsBegunAnew) {
  const TemporaryFolder folder;
  const std::filesystem::path path = folder / "metrics.h5";
  MetricsFile(path, 0).append(std::vector{metrics(1), metrics(2), metrics(3)});
  std::string bytes = slurp(path);
  constexpr std::string_view kIndexOfChunks("TREE\x01", 5);
  constexpr std::size_t kAddress = 48;  // of the first chunk: after the node's 24 bytes and a key's 24
  int found = 0;
  for (std::size_t at = bytes.find(kIndexOfChunks) + 1; (at = bytes.find(kIndexOfChunks, at)) != std::string::npos;
       ++at, ++found)
    bytes.replace(at + kAddress, 8, "\xff\xff\xff\xff\xff\xff\xff\x7f");
  ASSERT_EQ(found, 9);
  folder.write("metrics.h5", bytes);
  seal_file(path);  // what the seal would tell is for other tests
  bytes = slurp(path);
  MetricsFile(path, 2).append(std::vector{metrics(3)});
  EXPECT_EQ(Hdf5File::open(path).read_all<std::int64_t>("/train/step"), std::vector<std::int64_t>{3});
  EXPECT_EQ(slurp(folder / "metrics.h5.damaged"), bytes);
}

TEST(MetricsFile, WithAValueChangedByHandIsBegunAnew) {
  const TemporaryFolder folder;
  const std::filesystem::path path = folder / "metrics.h5";
  MetricsFile(path, 0).append(std::vector{metrics(1), metrics(2)});
  {
    Hdf5File file = Hdf5File::open_for_update(path);
    const double better = 0;
    file.write<double>("/train/loss", 1, std::span(&better, 1));
    file.close();
  }
  MetricsFile(path, 2).append(std::vector{metrics(3)});
  EXPECT_EQ(Hdf5File::open(path).read_all<std::int64_t>("/train/step"), std::vector<std::int64_t>{3});
  EXPECT_TRUE(std::filesystem::exists(folder / "metrics.h5.damaged"));
}

TEST(JsonlLog, HasTheColumnsOfMetrics) {
  const TemporaryFolder folder;
  JsonlLog(folder / "logs/run.jsonl", 0, "r1").append(metrics(1));
  EXPECT_EQ(
      slurp(folder / "logs/run.jsonl"),
      "{\"step\":1,\"loss\":-0.5,\"loss_forget\":0.25,\"loss_retain\":null,\"learning_rate\":2e-05,\"grad_norm\":1.5,"
      "\"tokens\":4096,\"tokens_per_second\":1000.0,\"memory_bytes\":1048576,\"model_state_bytes\":1024,\"run\":\"r1\"}\n");
}

TEST(JsonlLog, AResumeDropsTheStepsItRepeatsAndATornLine) {
  const TemporaryFolder folder;
  const auto path = folder / "run.jsonl";
  {
    JsonlLog log(path, 0, "r1");
    for (int step = 1; step <= 5; ++step) log.append(metrics(step));
  }
  folder.write("run.jsonl", slurp(path) + "{\"step\": 6, \"lo");
  JsonlLog resumed(path, 3, "r1");
  EXPECT_EQ(steps(path), (std::vector<std::int64_t>{1, 2, 3}));
  resumed.append(metrics(4));
  EXPECT_EQ(steps(path), (std::vector<std::int64_t>{1, 2, 3, 4}));
}

TEST(JsonlLog, KnowsItsRunsLines) {
  const TemporaryFolder folder;
  const auto path = folder / "run.jsonl";
  JsonlLog(path, 0, "r1").append(metrics(1));
  const std::string before = slurp(path);
  for (const char* other : {"r2", ""})
    EXPECT_THAT(error_of(ExitCode::output, [&] { JsonlLog(path, 0, other); }), testing::HasSubstr("line 1 is of another run"));
  EXPECT_EQ(slurp(path), before);
  folder.write("run.jsonl", before + "somebody's line\n");
  EXPECT_THAT(error_of(ExitCode::output, [&] { JsonlLog::check(path, "r1"); }), testing::HasSubstr("line 2 is not a step"));
}

TEST(JsonlLog, LeavesFilesThatAreNoLogAlone) {
  const TemporaryFolder folder;
  for (const char* text : {"{\"text\": \"a document\"}\n", "not JSON\n", "[1]\n{\"step\": 1}\n"}) {
    const auto path = folder.write("data.jsonl", text);
    EXPECT_THAT(error_of(ExitCode::output, [&] { JsonlLog(path, 0, "r1"); }), testing::HasSubstr("line 1"));
    EXPECT_EQ(slurp(path), text);
  }
}

}  // namespace
}  // namespace expunge
