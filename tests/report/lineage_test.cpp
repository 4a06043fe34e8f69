// Tests of what a report knows of the runs before a run.
#include "report/lineage.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <map>

#include "io/hash.h"
#include "support/temporary_folder.h"

namespace expunge {
namespace {

constexpr const char* kTrain = "split = papers/forget\nsplit = papers/retain\n";
constexpr const char* kAscent = "method = gradient_ascent\ndomain = papers\n";
constexpr const char* kNpo = "method = npo\ndomain = books\n";

/// A run that came from these, oldest first, and began from the model of this hash.
Lineage lineage_of(const std::vector<FormerRun>& former, const std::string& model_sha256) {
  CheckpointInfo info;
  info.history = history_text(former);
  info.model_sha256 = model_sha256;
  return read_lineage(info, "step-000009");
}

TEST(ReportLineage, ARunWithoutFormerOnesBeganFromTheOriginal) {
  const Lineage lineage = lineage_of({}, "m");
  EXPECT_EQ(lineage.changes_of("m"), 0U);
  EXPECT_EQ(lineage.changes_of("other"), std::nullopt);
  EXPECT_EQ(lineage.name(0), "the original model");
  EXPECT_EQ(lineage.earlier_work(), "");
}

TEST(ReportLineage, TheOriginalIsWhatTheFirstRunOfUnlearningBeganFrom) {
  const Lineage lineage = lineage_of({{FormerRun::kWeights, "base", "b", 60, kTrain, "init", "t"},
                                      {FormerRun::kWeights, "A", "a", 20, kAscent, "b", "t"},
                                      {FormerRun::kWeights, "B", "c", 1, kNpo, "a", "t"}},
                                     "c");
  EXPECT_EQ(lineage.original, 1U);
  for (const auto& [sha256, changes] : std::map<std::string, std::size_t>{{"init", 0}, {"b", 1}, {"a", 2}, {"c", 3}})
    EXPECT_EQ(lineage.changes_of(sha256), changes) << sha256;
  EXPECT_EQ(lineage.name(0), "an earlier model, before 60 steps of train on papers/forget, papers/retain");
  EXPECT_EQ(lineage.name(1), "the original model");
  EXPECT_EQ(lineage.name(2),
            "a model between the original and this run's, already changed by 20 steps of gradient_ascent on papers");
  EXPECT_EQ(lineage.name(3),
            "the model that this run began from, already changed by 20 steps of gradient_ascent on papers, 1 step of npo on "
            "books");
  EXPECT_EQ(lineage.earlier_methods(), "gradient_ascent, npo");
  EXPECT_EQ(lineage.before_state(), 3U);
  EXPECT_EQ(lineage.adopted_steps(), 0);
}

TEST(ReportLineage, AdoptedStepsCountOnceEach) {
  const Lineage lineage = lineage_of(
      {{FormerRun::kState, "A", "a", 20, kAscent, "m", "t"}, {FormerRun::kState, "B", "b", 30, kNpo, "m", "t"}}, "m");
  EXPECT_EQ(lineage.changes_of("m"), 0U);
  EXPECT_EQ(lineage.changes_of("b"), 2U);
  EXPECT_EQ(lineage.earlier_work(), "20 steps of gradient_ascent on papers, 10 steps of npo on books");
  EXPECT_EQ(lineage.before_state(), 0U);
  EXPECT_EQ(lineage.adopted_steps(), 30);
}

TEST(ReportLineage, AnExportStandsForItsCheckpointWhileItsRecordIsThere) {
  const TemporaryFolder folder;
  std::ofstream(folder / "expunge.json") << R"({"checkpoint_sha256": "a", "files": {"model.safetensors": "x"}})";
  const auto lineage = [&](const std::string& record) {
    return lineage_of({{FormerRun::kExport, folder.path().string(), record, 20, kAscent, "m", "t"}}, "x");
  };
  const Lineage known = lineage(sha256_file(folder / "expunge.json"));
  EXPECT_EQ(known.changes_of("x"), 1U);
  EXPECT_EQ(known.changes_of("a"), 1U);
  EXPECT_EQ(lineage("of another record").changes_of("a"), std::nullopt);
}

TEST(ReportLineage, AHistoryThatIsNoneIsRefused) {
  CheckpointInfo info;
  info.history = "{}";
  EXPECT_THAT(error_of(ExitCode::bad_input, [&] { read_lineage(info, "step-000009"); }), testing::HasSubstr("step-000009"));
  EXPECT_THAT(error_of(ExitCode::bad_input,
                       [&] {
                         lineage_of({{FormerRun::kState, "A", "a", 1, "no option", "m", "t"}}, "m");
                       }),
              testing::HasSubstr("step-000009: history: "));
}

}  // namespace
}  // namespace expunge
