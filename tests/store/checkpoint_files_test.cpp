// Which checkpoints are kept when one becomes live.
#include "store/checkpoint_files.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "io/files.h"
#include "support/growth.h"
#include "support/temporary_folder.h"

namespace expunge {
namespace {

namespace fs = std::filesystem;

/// Steps of what lies there, the newest first.
std::vector<std::string> names(const fs::path& checkpoints) {
  std::vector<std::string> found;
  for (const fs::path& path : list_checkpoints(checkpoints)) found.push_back(path.filename().string());
  return found;
}

constexpr std::string_view kWeights = "\x89HDF\r\n\x1a\n with a group exp_avg_sq";

std::string manifest_of(std::int64_t step) {
  return fmt::format(
      R"({{"format_version": 2, "step": {}, "files": [{{"name": "checkpoint.h5", "bytes": 1, "sha256": "{:064}"}}]}})", step,
      0);
}

void publish(const fs::path& checkpoints, std::int64_t step, std::int64_t keep, std::int64_t preferred = -1) {
  const Staging staging(checkpoints, step_name(step));
  make_folder(staging.folder() / step_name(step));
  write_new_file(staging.folder() / step_name(step) / kManifest, manifest_of(step));
  write_new_file(staging.folder() / step_name(step) / "checkpoint.h5", kWeights);
  publish_checkpoint(staging, checkpoints / step_name(step), keep, preferred);
}

TEST(CheckpointFiles, TheOldestGoFirst) {
  const TemporaryFolder folder;
  for (const int step : {1, 2, 3, 4}) publish(folder.path(), step, 2, 1);
  EXPECT_THAT(names(folder.path()), testing::ElementsAre("step-000004", "step-000003", "step-000001"));
}

TEST(CheckpointFiles, LaterStepsOfAnEarlierStartGoBeforeWhatWasJustWritten) {
  const TemporaryFolder folder;
  for (const int step : {2, 9}) publish(folder.path(), step, 0);
  publish(folder.path(), 3, 1);
  EXPECT_THAT(names(folder.path()), testing::ElementsAre("step-000003"));
}

TEST(CheckpointFiles, WhatIsSetAsideCountsNoMore) {
  const TemporaryFolder folder;
  for (const int step : {2, 9}) publish(folder.path(), step, 0);
  set_aside(folder.path() / "step-000009");
  EXPECT_THAT(names(folder.path()), testing::ElementsAre("step-000002"));
  EXPECT_TRUE(fs::exists(folder.path() / "damaged-step-000009"));
  publish(folder.path(), 9, 0);
  set_aside(folder.path() / "step-000009");
  EXPECT_TRUE(fs::exists(folder.path() / "damaged-step-000009-2"));
}

TEST(CheckpointFiles, OneTakesThePlaceOfAnother) {
  const TemporaryFolder folder;
  publish(folder.path(), 3, 0);
  folder.write("step-000003/checkpoint.h5", "of the start before");
  publish(folder.path(), 3, 0);
  EXPECT_EQ(slurp(folder / "step-000003/checkpoint.h5"), kWeights);
  EXPECT_THAT(folder.names(), testing::ElementsAre("step-000003"));
}

TEST(CheckpointFiles, FilesOfOthersStay) {
  const TemporaryFolder folder;
  for (const int step : {1, 2}) publish(folder.path(), step, 0);
  folder.write("step-000001/notes.txt", "theirs");
  folder.write("step-000007/pytorch_model.bin", "theirs");
  folder.write(".writing-step-000008/notes.txt", "theirs");
  folder.write(".writing-step-000009/checkpoint.h5", std::string(kWeights));
  folder.write("step-000010/checkpoint.h5", "\x89HDF\r\n\x1a\n of another program");
  folder.write("step-000008/manifest.json", "{}");
  folder.write("damaged-step-000009/metrics.h5", "theirs");
  folder.write("checkpoint-500/weights", "theirs");
  EXPECT_THAT(names(folder.path()), testing::ElementsAre("step-000002", "step-000001"));
  EXPECT_THAT(error_of(ExitCode::output, [&] { publish(folder.path(), 7, 0); }), testing::HasSubstr("pytorch_model.bin"));
  publish(folder.path(), 3, 1);
  remove_checkpoints(folder.path());
  EXPECT_THAT(folder.names(), testing::UnorderedElementsAre("step-000001", "step-000007", ".writing-step-000008", "step-000010",
                                                            "checkpoint-500", "step-000008", "damaged-step-000009"));
  for (const char* file : {"damaged-step-000009/metrics.h5", "step-000001/notes.txt", "step-000007/pytorch_model.bin",
                           ".writing-step-000008/notes.txt", "checkpoint-500/weights"})
    EXPECT_EQ(slurp(folder / file), "theirs");
}

std::string manifest(std::size_t files, const std::string& last) {
  std::string text = R"({"format_version": 1, "files": [)";
  for (std::size_t i = 0; i < files; ++i)
    text += R"({"name": "shard-)" + std::to_string(i) + R"(", "bytes": 1, "crc32c": "01234567"},)";
  return text + R"({"name": ")" + last + R"(", "bytes": 1, "crc32c": "01234567"}]})";
}

TEST(CheckpointFiles, AManifestIsReadInLinearTime) {
  const TemporaryFolder folder;
  const auto make = [&](std::size_t files) {
    folder.write(std::to_string(files) + "/manifest.json", manifest(files, "last"));
    return folder / std::to_string(files);
  };
  expect_linear_time(4'000, make, [](const fs::path& checkpoint) { EXPECT_FALSE(read_manifest(checkpoint).empty()); });
}

/// Each would be read as often as it is listed.
TEST(CheckpointFiles, AManifestListsAFileOnce) {
  const TemporaryFolder folder;
  folder.write("manifest.json", manifest(3, "shard-1"));
  EXPECT_THAT(error_of(ExitCode::bad_input, [&] { (void)read_manifest(folder.path()); }),
              testing::HasSubstr("manifest.json: file 'shard-1' is listed twice; expected it once"));
}

}  // namespace
}  // namespace expunge
