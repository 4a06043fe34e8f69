// Tests of the report: its arithmetic, its escaping, its plots.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "data/batches.h"
#include "report/attacks.h"
#include "report/clean_text.h"
#include "report/content.h"
#include "report/document.h"
#include "report/plot.h"
#include "report/plot_labels.h"
#include "report/summary.h"
#include "run/option_tables.h"
#include "support/temporary_folder.h"

namespace expunge {
namespace {

using testing::HasSubstr;
using testing::Not;

SplitMetrics metrics_of(double perplexity, double accuracy = 0) {
  SplitMetrics split;
  split["perplexity"] = perplexity;
  split["accuracy"] = accuracy;
  return split;
}

TEST(ReportMetrics, DistanceIsALogRatioToTheApproximateSetOfTheOriginal) {
  const GoalDistance d = distance_to_goal(metrics_of(2, 90), metrics_of(8, 60), metrics_of(4, 75));
  EXPECT_DOUBLE_EQ(d.log_ratio, -0.69314718055994531);  // ln(4 / 8)
  EXPECT_DOUBLE_EQ(d.accuracy_gap, 15);
  EXPECT_DOUBLE_EQ(d.progress, 0.5);  // ln 2 of ln 4
  EXPECT_DOUBLE_EQ(distance_to_goal(metrics_of(2), metrics_of(8), metrics_of(16)).progress, 1.5);
  EXPECT_TRUE(std::isnan(distance_to_goal(metrics_of(8), metrics_of(8), metrics_of(9)).progress));  // never memorised
}

TEST(ReportMetrics, TheWayGoneReadsWellPastTheGoal) {
  const auto way = [](double before, double approximate, double after) {
    return way_gone(distance_to_goal(metrics_of(before), metrics_of(approximate), metrics_of(after)));
  };
  EXPECT_EQ(way(2, 8, 4), "50 % of the way in log perplexity");
  EXPECT_EQ(way(2, 8, 8.01), "100 % of the way in log perplexity");
  EXPECT_EQ(way(2, 8, 16), "past the goal by a factor of 2");
  EXPECT_EQ(way(8, 8.01, 24.03), "past the goal by a factor of 3");  // hardly a way at all: of it, 880 times
  EXPECT_EQ(way(2, 8, 1), "farther from it than before");
  EXPECT_EQ(way(8, 8, 9), "");
}

using Options = std::map<std::string, std::string>;

/// Read from a config with these values.
RunOptions options_of(const Options& options) {
  std::string config;
  for (const auto& [key, value] : options) config += key + " = " + value + "\n";
  return read_run_options(config, "config");
}

TEST(ReportMetrics, WhatIsForgottenIsWhatWasTrainedOn) {
  using Sequences = std::vector<std::size_t>;
  const auto taken = [](Options options, std::int64_t samples) {
    return forget_sequences_taken(options_of(options), 4, samples);
  };
  EXPECT_EQ(taken({{"method", "gradient_ascent"}}, 9), (Sequences{0, 1, 2, 3}));
  EXPECT_EQ(taken({{"method", "gradient_ascent"}, {"max-train-samples", "2"}}, 9), (Sequences{0, 1}));
  // Items are f0 r r f1 r r f2 ...
  const Options mixed = {{"method", "ascent_plus_descent"}, {"positive-ratio", "2"}, {"shuffle", "off"}};
  EXPECT_EQ(taken(mixed, 12), (Sequences{0, 1, 2, 3}));
  EXPECT_EQ(taken(mixed, 3), (Sequences{0}));
  EXPECT_EQ(taken(mixed, 4), (Sequences{0, 1}));
  Options limited = mixed;
  limited["max-train-samples"] = "7";
  EXPECT_EQ(taken(limited, 100), (Sequences{0, 1, 2}));
  // A shuffled run that ended early: those that its order begins with.
  SampleOrder order(4, 7, true);
  EXPECT_EQ(taken({{"method", "random_label"}, {"shuffle", "on"}, {"seed", "7"}}, 2),
            (Sequences{order.item(0), order.item(1)}));
  EXPECT_EQ(taken({{"method", "finetune"}}, 9), Sequences{});
  EXPECT_EQ(taken({{"method", "gradient_ascent"}, {"sample-order", "file"}}, 9), std::nullopt);
  EXPECT_EQ(taken({{"method", "of a later version"}}, 9), std::nullopt);
  const char* const most = "1000000000";  // a list that no run holds
  EXPECT_EQ(forget_sequences_taken(options_of({{"method", "ascent_plus_descent"}, {"positive-ratio", most}}), 1000, 9),
            std::nullopt);
}

TEST(ReportMetrics, RetainedGrowthLeavesOutWhatIsMeantToChange) {
  const SplitTable before = {
      {"a/forget", metrics_of(1)}, {"a/approximate", metrics_of(1)}, {"a/retain", metrics_of(1)}, {"b/forget", metrics_of(2)}};
  const SplitTable after = {{"a/forget", metrics_of(99)},
                            {"a/approximate", metrics_of(99)},
                            {"a/retain", metrics_of(2)},
                            {"b/forget", metrics_of(16)},
                            {"c/new", metrics_of(7)}};
  const auto splits = retained_splits(before, after, "a");
  EXPECT_EQ(splits, (std::vector<std::string>{"a/retain", "b/forget"}));
  EXPECT_DOUBLE_EQ(retained_growth(before, after, splits), 4);  // of 2 and 8
}

TEST(ReportMetrics, ParetoFrontHoldsWhatNothingDominates) {
  const double nan = std::nan("");
  const std::vector<std::array<double, 2>> points = {{1, 5}, {2, 2}, {5, 1}, {3, 3}, {2, 2}, {2, 4}, {0, nan}, {1, 6}};
  EXPECT_EQ(pareto_front(points), (std::vector<bool>{true, true, true, false, true, false, false, false}));
  EXPECT_TRUE(pareto_front({}).empty());
}

TEST(ReportMetrics, ComputeOfTheStudysKind) {
  // 6 x 1e9 parameters x 4e6 tokens and 2 x 1e9 x 2e6 for a reference model, against 6 x 1e9 x 3e12.
  const ComputeCost cost = count_flops(1e9, 4e6, 2e6, 3e12);
  EXPECT_DOUBLE_EQ(cost.training, 2.4e16);
  EXPECT_DOUBLE_EQ(cost.reference, 4e15);
  EXPECT_DOUBLE_EQ(cost.total(), 2.8e16);
  EXPECT_NEAR(cost.ratio(), 642857.142857, 1e-5);
}

TEST(ReportMetrics, ReferenceModelSeesWhatTheMethodShowsIt) {
  const auto tokens = [](const Options& options) { return reference_tokens(options_of(options), 100, 30); };
  EXPECT_EQ(tokens({{"method", "gradient_ascent"}}), 0);
  EXPECT_EQ(tokens({{"method", "ascent_plus_descent"}, {"positive-ratio", "3"}}), 0);
  EXPECT_EQ(tokens({{"method", "ascent_plus_kl_divergence"}, {"positive-ratio", "1"}}), 50);
  EXPECT_EQ(tokens({{"method", "ascent_plus_kl_divergence"}, {"positive-ratio", "3"}}), 75);
  EXPECT_EQ(tokens({{"method", "grad_diff"}, {"retain-loss", "nll"}}), 0);
  EXPECT_EQ(tokens({{"method", "grad_diff"}, {"retain-loss", "kl"}}), 50);
  EXPECT_EQ(tokens({{"method", "random_label"}, {"top-k", "0"}, {"top-p", "1"}, {"rm-groundtruth", "false"}}), 0);
  EXPECT_EQ(tokens({{"method", "random_label"}, {"top-k", "1"}, {"rm-groundtruth", "true"}}), 30);
  EXPECT_EQ(tokens({{"method", "npo"}, {"retain-loss", "nll"}}), 30);
  EXPECT_EQ(tokens({{"method", "undial"}, {"alpha", "0"}}), 100);  // one role: every token
  EXPECT_EQ(tokens({{"method", "of a later version"}}), 0);
  EXPECT_EQ(tokens({}), 0);  // expunge train
}

TEST(ReportAttacks, TheStrongestIsFarthestFromGuessingEitherWay) {
  const auto attack = [](const char* name, double auc) {
    return StoredAttack{.name = name, .auc = auc, .auc_low = 0, .auc_high = 1, .high = {}, .low = {}, .curve = {}};
  };
  ReportAttacks attacks;
  attacks.attacks = {attack("min_k_30", 0.6), attack("min_k_40", 0.3), attack("min_k_plus_plus_20", 0.55),
                     attack("loss", std::nan(""))};
  EXPECT_EQ(attacks.strongest().name, "min_k_40");
  std::vector<std::string> names;
  for (const StoredAttack* one : attacks.strongest_by_family()) names.push_back(one->name);
  EXPECT_EQ(names, (std::vector<std::string>{"loss", "min_k_40", "min_k_plus_plus_20"}));
}

/// A mia.h5 of one attack, with what `change` adds.
ReportAttacks read_attack_file(const std::function<void(Hdf5File&)>& change) {
  const TemporaryFolder folder;
  Hdf5File file = Hdf5File::create(folder / "mia.h5");
  for (const char* dataset : {"/results/loss/fpr", "/results/loss/tpr"}) {
    file.create_dataset<double>(dataset, {2});
    file.write<double>(dataset, 0, std::vector<double>{0, 1});
  }
  for (const char* name : {"auc_low", "auc_high", "tpr_at_1", "tpr_at_0_1"}) file.write_attribute("/results/loss", name, 0.25);
  file.write_attribute("/results/loss", "auc", 0.33);
  file.write_attribute("/results/loss", "best_accuracy", 0.5);
  file.write_attribute("/results/loss", "tpr_at_5", 0.0);
  change(file);
  file.close();
  return read_attacks(Hdf5File::open(folder / "mia.h5"));
}

TEST(ReportAttacks, FilesOfEarlierVersionsGiveHighScoresAndSequences) {
  const ReportAttacks attacks = read_attack_file([](Hdf5File&) {});
  EXPECT_FALSE(attacks.attacks[0].low);
  EXPECT_EQ(attacks.attacks[0].stronger().tpr_at_5, 0);
  EXPECT_EQ(attacks.sampling(), "Intervals are resampled by sequence.");
}

TEST(ReportAttacks, TheStrongerDirectionIsShown) {
  const auto with = [](const std::string& stronger) {
    return read_attack_file([&](Hdf5File& file) {
      file.write_attribute("/results/loss", "stronger", stronger);
      file.write_attribute("/results/loss", "best_accuracy_reversed", 0.75);
      for (const char* name : {"tpr_at_5_reversed", "tpr_at_1_reversed", "tpr_at_0_1_reversed"})
        file.write_attribute("/results/loss", name, 0.625);
      file.write_attribute("/", "resampled_by", std::string("document"));
      file.write_attribute("/", "members_on_both_sides", std::uint64_t{3});
      file.write_attribute("/", "non_members_on_both_sides", std::uint64_t{2});
    });
  };
  const ReportAttacks low = with("low");
  EXPECT_TRUE(low.attacks[0].low_is_stronger);
  EXPECT_EQ(low.attacks[0].stronger().tpr_at_5, 0.625);
  EXPECT_EQ(low.attacks[0].stronger().best_accuracy, 0.75);
  EXPECT_EQ(low.sampling(),
            "Intervals are resampled by document. Sequences on both sides are left out: 3 of the members, 2 of the "
            "non-members.");
  EXPECT_EQ(with("high").attacks[0].stronger().best_accuracy, 0.5);
  EXPECT_THAT(error_of(ExitCode::bad_input, [&] { with("both"); }), HasSubstr("@stronger: expected high or low, found 'both'"));
}

constexpr const char* kHostile = "<img src=x onerror=\"alert('1')\">&amp; `code` | [a](http://evil) *b* <!--\n# c";

TEST(CleanText, IsValidUtf8WithoutControlCharacters) {
  EXPECT_EQ(clean_text("\u8bba\u6587\n\ta"), "\u8bba\u6587\n\ta");
  EXPECT_EQ(clean_text("a\xff"
                       "b\xe8\xae"
                       "c\x01\x7f"),
            "a\ufffdb\ufffd\ufffdc  ");
  EXPECT_EQ(clean_text(""), "");
}

Document hostile() {
  return {kHostile,
          {Heading{2, kHostile}, Paragraph{kHostile}, Paragraph{kHostile, Paragraph::Kind::note},
           Table{{"name", kHostile}, {{kHostile, "1"}}, {true}}, Table{{}, {{"key", kHostile}}, {}},
           Listing{kHostile, kHostile}, Gallery{{{"figure", "<svg viewBox=\"0 0 1 1\"></svg>", kHostile}}}}};
}

TEST(ReportHtml, LetsNoTextBecomeMarkup) {
  const std::string page = render_html(hostile());
  EXPECT_THAT(page, Not(HasSubstr("<img")));
  EXPECT_THAT(page, Not(HasSubstr("onerror=\"")));
  EXPECT_THAT(page, Not(HasSubstr("<!--")));
  EXPECT_THAT(page, HasSubstr("<h2 id=\"section-1\">&lt;img src=x onerror=&quot;alert(&#39;1&#39;)&quot;&gt;&amp;amp; `code`"));
  EXPECT_THAT(page, HasSubstr("<svg viewBox"));
}

TEST(ReportHtml, LinksToItsSections) {
  const std::string page = render_html({"t", {Heading{2, "A & B"}, Heading{3, "part"}, Heading{2, "C"}}});
  EXPECT_THAT(page, HasSubstr("<li><a href=\"#section-1\">A &amp; B</a></li><li><a href=\"#section-2\">C</a></li>"));
  EXPECT_THAT(page, HasSubstr("<h2 id=\"section-1\">A &amp; B</h2>\n<h3>part</h3>\n<h2 id=\"section-2\">C</h2>"));
}

TEST(ReportMarkdown, LetsNoTextBecomeMarkup) {
  const std::string page = render_markdown(hostile(), "plots");
  EXPECT_THAT(
      page,
      HasSubstr(
          "# &lt;img src=x onerror=\"alert('1')\"&gt;&amp;amp; \\`code\\` \\| \\[a\\](http\\://evil) \\*b\\* &lt;!-- # c"));
  EXPECT_THAT(page, HasSubstr("(<plots/figure.svg>)"));
  // The listing is verbatim and indented; nothing else holds a raw tag.
  std::istringstream lines(page);
  for (std::string line; std::getline(lines, line);)
    EXPECT_TRUE(line.starts_with("    ") || line.find("<img") == std::string::npos) << line;
}

TEST(ReportText, ColumnsBeyondTheTerminalFollowBelow) {
  const std::string wide(60, 'w');
  EXPECT_EQ(render_text({{"Run", "a", "b", "c"}, {{"R1", wide, "2 →", "3"}, {"R2", "1", wide, "4"}}}),
            "Run  a\nR1   " + wide + "\nR2   1\n\nRun  b" + std::string(61, ' ') + "c\nR1   2 →" + std::string(59, ' ') +
                "3\nR2   " + wide + "  4\n");
  EXPECT_EQ(render_text({{"Run"}, {{"R1"}}}), "Run\nR1\n");
}

Curve scatter(std::vector<double> x, std::vector<double> y) {
  Curve curve{"runs", std::move(x), std::move(y), Curve::Style::points, {}};
  for (std::size_t i = 0; i < curve.x.size(); ++i) curve.labels.push_back({"R" + std::to_string(i + 1)});
  place_labels(curve);
  return curve;
}

TEST(PlotLabels, StandWhereTheyCoverNothing) {
  using Side = Curve::Label::Side;
  // The second point lies just below the first: its name would cover it. The third is alone.
  const Curve curve = scatter({0.1, 0.1, 1}, {1.07, 1, 2});
  EXPECT_EQ(curve.labels[0].side, Side::above);
  EXPECT_EQ(curve.labels[1].side, Side::right);
  EXPECT_EQ(curve.labels[2].side, Side::above);
  for (std::size_t i = 0; i < 3; ++i) EXPECT_EQ(curve.labels[i].text, "R" + std::to_string(i + 1));
}

TEST(PlotLabels, ShareANameWhereThereIsNoRoom) {
  const Curve curve = scatter(std::vector<double>(9, 0.0), std::vector<double>(9, 1.0));
  std::size_t named = 0, joined = 0;
  for (const Curve::Label& label : curve.labels) {
    if (label.text.empty()) continue;
    ++named;
    if (const auto plus = label.text.find(" +"); plus != std::string::npos) joined += std::stoul(label.text.substr(plus + 2));
  }
  EXPECT_EQ(named, 4u);  // one a side
  EXPECT_EQ(named + joined, 9u);
  EXPECT_EQ(scatter({1}, {1}).labels[0].text, "R1");
}

Plot plot(std::vector<Curve> curves) {
  return {.name = "p1", .description = "a <b>", .x_label = "it's", .y_label = "`id`", .curves = std::move(curves)};
}

TEST(Plot, ScriptHoldsNoTextThatGnuplotCouldRun) {
  const std::string script = gnuplot_script(plot(
      {{"a'; system \"x\" $(y) `z`\n", {1, 2}, {3, 4}, Curve::Style::points, {Curve::Label{"\"q\""}, Curve::Label{"@m"}}}}));
  for (const char* run : {"`", "$(", "@", "it's", "a'; system"}) EXPECT_THAT(script, Not(HasSubstr(run)));
  EXPECT_THAT(script, HasSubstr("title 'a?; system ?x? ?(y) ?z?"));
  EXPECT_THAT(script, HasSubstr("set xlabel 'it?s'"));
  EXPECT_THAT(script, HasSubstr("set ylabel '?id?'"));
}

TEST(Plot, LeavesOutWhatCannotBeDrawnAndThinsWhatIsLong) {
  const double nan = std::nan("");
  EXPECT_FALSE(has_points(plot({{"none", {1, 2}, {nan, INFINITY}, Curve::Style::line, {}}})));
  EXPECT_THAT(gnuplot_script(plot({{"none", {1}, {nan}, Curve::Style::line, {}}, {"one", {1}, {2}, Curve::Style::line, {}}})),
              Not(HasSubstr("$curve0")));
  const std::vector<double> many(5000, 1.0);
  const std::string script = gnuplot_script(plot({{"many", many, many, Curve::Style::line, {}}}));
  EXPECT_EQ(std::count(script.begin(), script.end(), '\n') < 1050, true);
  EXPECT_THAT(gnuplot_script(plot({{"wide", {1, 2}, {1, 100}, Curve::Style::line, {}}})), HasSubstr("logscale y"));
  EXPECT_THAT(gnuplot_script(plot({{"narrow", {1, 2}, {1, 10}, Curve::Style::line, {}}})), Not(HasSubstr("logscale")));
}

TEST(Plot, IdsOfAPageAreUnique) {
  const std::string svg =
      "<?xml version=\"1.0\"?>\n<svg \n viewBox=\"0 0 480 371\"\n "
      "xmlns=\"http://www.w3.org/2000/svg\">\n<title>Gnuplot</title>\n"
      "<desc>Produced by GNUPLOT 5.4 </desc>\n<g id=\"gnuplot_canvas\"><path id='gpPt0'/><use xlink:href='#gpPt0'/>"
      "<g filter=\"url(#textbox)\"/></g></svg>";
  EXPECT_EQ(
      page_svg(svg, plot({})),
      "<svg viewBox=\"0 0 480 371\" role=\"img\">\n<title>a ?b?</title>\n\n\n<g id=\"p1-gnuplot_canvas\"><path id='p1-gpPt0'/>"
      "<use href='#p1-gpPt0'/><g filter=\"url(#p1-textbox)\"/></g></svg>");
}

}  // namespace
}  // namespace expunge
