// Tests of what a report says of a run, from runs made here.
#include "report/content.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "report/options.h"
#include "report/shared_text.h"
#include "run/option_tables.h"

namespace expunge {
namespace {

using testing::HasSubstr;
using testing::Not;

/// A finished run of two steps with an evaluation on both sides.
ReportRun finished_run() {
  ReportRun run;
  run.label = "R1";
  run.folder = "run";
  run.config = "method = gradient_ascent\ndomain = papers\n";
  run.options = read_run_options(run.config, "config");
  run.has_checkpoints = true;
  run.checkpoint.emplace();
  run.checkpoint->step = run.checkpoint->total_steps = 2;
  const auto metrics = [](double perplexity) {
    SplitMetrics split;
    split["perplexity"] = split["token_perplexity"] = perplexity;
    split["accuracy"] = 50;
    split.sequences = 8;
    return split;
  };
  run.before =
      ReportEvaluation{"before.h5", "base", "b", {}, {{"papers/forget", metrics(2)}, {"papers/approximate", metrics(8)}}};
  run.after = ReportEvaluation{"eval.h5", "run", "r", {}, {{"papers/forget", metrics(4)}}};
  return run;
}

ReportAttacks attacks_on(const std::string& members, const std::string& non_members) {
  ReportAttacks attacks;
  attacks.path = "mia.h5";
  attacks.model = "run";
  attacks.model_sha256 = "r";
  attacks.conditions = {{"members", members}, {"non_members", non_members}};
  attacks.attacks.push_back({.name = "loss",
                             .auc = 0.75,
                             .auc_low = 0.5,
                             .auc_high = 1,
                             .high = {0.5, 0, 0, 0},
                             .low = AttackRates{},
                             .curve = {},
                             .members = 40,
                             .non_members = 31});
  return attacks;
}

Document report_of(const ReportRun& run) {
  Plotter plotter;
  return describe_report({run}, ReportConfig(), plotter);
}

std::string headline(const ReportRun& run) { return std::get<Paragraph>(report_of(run).blocks.front()).text; }

std::string page(const ReportRun& run) {
  std::string text = render_html(report_of(run));
  for (std::size_t at; (at = text.find("<wbr>")) != std::string::npos;) text.erase(at, 5);
  return text;
}

/// A cell of the run's row in the table that compares runs.
std::string cell(const ReportRun& run, const std::string& column) {
  for (const Block& block : report_of(run).blocks)
    if (const auto* table = std::get_if<Table>(&block))
      return table->rows.at(0).at(static_cast<std::size_t>(std::ranges::find(table->head, column) - table->head.begin()));
  return {};
}

TEST(ReportContent, WhatIsUnfinishedIsCalledSo) {
  ReportRun run = finished_run();
  EXPECT_THAT(headline(run),
              HasSubstr("R1: papers/forget should be forgotten by gradient_ascent; its perplexity went from 2 to 4"));
  run.checkpoint->total_steps = 30;
  EXPECT_THAT(headline(run), HasSubstr("R1 (unfinished, step 2 of 30): papers/forget"));
  run.checkpoint.reset();
  EXPECT_THAT(headline(run), HasSubstr("none of its checkpoints can be read"));
  run.has_checkpoints = false;
  EXPECT_THAT(headline(run), HasSubstr("it has no checkpoint yet"));
}

TEST(ReportContent, MetricsOfAnotherModelAreNotCompared) {
  const auto told = [](const ReportRun& run) {
    EXPECT_THAT(headline(run), HasSubstr("before and after are shown and not compared: "));
    EXPECT_EQ(cell(run, "Distance, ln"), "not compared");
    EXPECT_EQ(cell(run, "Accuracy gap"), "not compared");
    EXPECT_THAT(page(run), Not(HasSubstr("Distance to approximate retraining")));
  };
  ReportRun after = finished_run(), before = after;
  after.after->origin = {.checkpoint_sha256 = "", .other = "step-000001, not of", .mark = "step-000001"};
  told(after);
  EXPECT_EQ(cell(after, "Forget perplexity"), "4 (step-000001)");
  before.before->origin = {.checkpoint_sha256 = "", .other = "another model", .mark = "another model"};
  told(before);
  EXPECT_EQ(cell(before, "Goal"), "–");
}

TEST(ReportContent, TheStrongestAttackIsOnForgetAgainstApproximateByTheRunsModel) {
  ReportRun run = finished_run();
  run.attacks_after = attacks_on("papers/forget", "papers/approximate");
  EXPECT_EQ(cell(run, "Strongest AUC"), "0.750");
  EXPECT_THAT(page(run), HasSubstr("Members: 40 sequences of papers/forget. Non-members: 31 sequences of papers/approximate."));
  EXPECT_THAT(page(run), Not(HasSubstr("fewer than 30")));
  run.attacks_after->attacks[0].non_members = 29;
  EXPECT_THAT(page(run), HasSubstr("40 members and 29 non-members: with fewer than 30 per side"));
  run.attacks_after->origin.other = run.attacks_after->origin.mark = "another model";
  EXPECT_EQ(cell(run, "Strongest AUC"), "another model");
  for (const auto& [members, non_members] :
       {std::pair("papers/retain", "papers/approximate"), {"papers/forget", "general/evaluation"}}) {
    run.attacks_after = attacks_on(members, non_members);
    EXPECT_EQ(cell(run, "Strongest AUC"), "other texts");
  }
}

TEST(ReportContent, EarlierRunsShareInWhatBecameOfTheModel) {
  ReportRun run = finished_run();
  run.lineage.former = {{FormerRun::kWeights, "A", "a", 20, "method = npo\ndomain = books\n", "b", "t"}};
  EXPECT_THAT(headline(run), HasSubstr("forgotten by gradient_ascent, after 20 steps of npo on books (see Before); its"));
  EXPECT_THAT(headline(run), HasSubstr("the perplexity of the original model on papers/approximate"));
  EXPECT_EQ(cell(run, "Method"), "gradient_ascent, after npo");
  EXPECT_EQ(cell(run, "Goal"), "8");
  run.before->origin.changes = 1;
  EXPECT_THAT(headline(run),
              HasSubstr("Before is the model that this run began from, already changed by 20 steps of npo on books. "
                        "The goal is 8, the perplexity of that model on papers/approximate"));
  EXPECT_EQ(cell(run, "Goal"), "8 (of a changed model)");
  EXPECT_THAT(page(run), HasSubstr("(papers/approximate under the model that this run began from, already changed by"));
}

TEST(ReportContent, ComputeOfEarlierRunsIsMissedWhereTheTableLacksTheirSteps) {
  ReportRun run = finished_run();
  run.lineage.former = {{FormerRun::kState, "A", "a", 20, "method = npo\ndomain = books\n", "b", "t"}};
  run.trajectory = Trajectory{{1, 2}, {3, 3}, {3, 3}, {3, 3}, 100, 0, 0};
  run.parameters = 10;
  EXPECT_EQ(cell(run, "FLOP"), "6e+03");
  run.lineage.former[0].how = FormerRun::kWeights;
  EXPECT_EQ(cell(run, "FLOP"), "6e+03 (own steps)");
  EXPECT_THAT(page(run), HasSubstr("20 steps of npo on books, by earlier runs"));
}

std::string shared_text(const ReportRun& run) {
  std::vector<Block> blocks;
  add_shared_text(run, blocks);
  return render_html({"t", blocks});
}

TEST(ReportContent, SharedTextIsLookedForInAllThatWasTrainedOnOrEvaluated) {
  ReportRun run = finished_run();
  run.config += "general = true\n";
  run.token_splits = {"general/evaluation", "general/retain", "papers/forget", "papers/approximate", "books/forget"};
  run.duplicates = Duplicates{0.8, {}};
  EXPECT_THAT(shared_text(run),
              HasSubstr("None was found. Documents are nearly equal from a similarity of 0.8 on. Checked splits: "
                        "papers/approximate, papers/forget."));
  run.duplicates->shared = {{"general/evaluation", "general/retain", 3, 4, 5}, {"books/forget", "books/forget", 1, 1, 1}};
  EXPECT_THAT(shared_text(run), HasSubstr("None was found"));
  run.after->splits["general/evaluation"] = {};
  EXPECT_THAT(shared_text(run), Not(HasSubstr("None was found")));
  EXPECT_THAT(shared_text(run), HasSubstr("general/evaluation, papers/approximate, papers/forget."));
}

TEST(ReportContent, TrainedSplitsAreThoseOfTheMethod) {
  using Names = std::set<std::string>;
  EXPECT_EQ(trained_split_names(read_run_options("split = a/b\nsplit = c/d\n", "config")), (Names{"a/b", "c/d"}));
  EXPECT_EQ(trained_split_names(read_run_options("domain = p\nmethod = gradient_ascent\n", "config")), Names{"p/forget"});
  EXPECT_EQ(trained_split_names(read_run_options("domain = p\nmethod = ascent_plus_descent\n", "config")),
            (Names{"p/forget", "p/retain"}));
  EXPECT_EQ(trained_split_names(read_run_options("domain = p\nmethod = ascent_plus_descent\ngeneral = true\n", "config")),
            (Names{"p/forget", "general/retain"}));
  EXPECT_EQ(trained_split_names(read_run_options("domain = p\nmethod = of a later version\n", "config")), Names{"p/forget"});
}

TEST(ReportContent, OneIsNotManyOfAKind) {
  EXPECT_EQ(counted(1, "step"), "1 step");
  EXPECT_EQ(counted(0, "step"), "0 steps");
  EXPECT_EQ(counted(1234, "token"), "1,234 tokens");
}

}  // namespace
}  // namespace expunge
