// Attacks, memorisation and ROC metrics against open-unlearning and scikit-learn (tests/fixtures/make_membership_fixture.py),
// and against numbers worked out by hand.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "core/random.h"
#include "eval/attacks.h"
#include "eval/roc.h"
#include "io/json.h"

namespace expunge {
namespace {

using nlohmann::json;
using testing::ElementsAre;
using Values = std::vector<double>;

/// What open-unlearning computes in float32 agrees with ours in float64 so far.
constexpr double kTolerance = 1e-6;

json fixture() { return parse_json_file(std::filesystem::path(EXPUNGE_FIXTURES) / "membership.json", 1 << 20); }

TargetScores target_scores(const json& sequence) {
  return {sequence["log_prob"].get<Values>(), sequence["hit"].get<std::vector<std::uint8_t>>(), sequence["mean"].get<Values>(),
          sequence["variance"].get<Values>()};
}

/// Every score of a sequence by name, as `expunge mia` makes them.
std::map<std::string, double> all_scores(const json& sequence) {
  const TargetScores scores = target_scores(sequence);
  const Values values = attack_scores(scores);
  std::map<std::string, double> all;
  for (std::size_t a = 0; a < values.size(); ++a) all[attack_names()[a]] = values[a];
  TargetScores reference = scores;
  reference.log_prob = sequence["reference_log_prob"].get<Values>();
  all["reference"] = mean_log_prob(scores) - mean_log_prob(reference);
  all["zlib"] = zlib_score(mean_log_prob(scores), sequence["zlib_bytes"].get<std::size_t>());
  const SequenceMetrics found = summarise_sequence(scores);
  all["exact_memorisation"] = found["accuracy"];
  all["extraction_strength"] = found["extraction_strength"];
  return all;
}

TEST(Membership, ScoresEqualThoseOfOpenUnlearning) {
  const json data = fixture();
  ASSERT_EQ(data["sequences"].size(), 24u);
  int left_out = 0;
  for (const json& sequence : data["sequences"]) {
    const auto scores = all_scores(sequence);
    ASSERT_EQ(scores.size(), 17u);
    for (const auto& [name, expected] : sequence["scores"].items()) {
      ASSERT_TRUE(scores.contains(name)) << name;
      if (expected.is_null()) {
        EXPECT_TRUE(std::isnan(scores.at(name))) << name;
        ++left_out;
      } else {
        EXPECT_NEAR(scores.at(name), expected.get<double>(), kTolerance) << name;
      }
    }
  }
  EXPECT_EQ(left_out, 2);  // one sequence of four targets, in min_k_20 and min_k_plus_plus_20
}

TEST(Membership, AreasEqualThoseOfOpenUnlearning) {
  const json data = fixture();
  std::map<std::string, Values> members, non_members;
  for (const json& sequence : data["sequences"])
    for (const auto& [name, score] : all_scores(sequence))
      (sequence["label"] == 1 ? members : non_members)[name].push_back(score);
  ASSERT_EQ(data["auc"].size(), 13u);
  for (const auto& [name, expected] : data["auc"].items())
    EXPECT_NEAR(summarise_attack(members[name], non_members[name], 1).auc, expected.get<double>(), kTolerance) << name;
  const double auc = summarise_attack(members["loss"], non_members["loss"], 1).auc;
  ASSERT_GT(auc, 0.5);
  EXPECT_DOUBLE_EQ(summarise_attack(members["loss"], non_members["loss"], 1).auc_folded(), auc);
  EXPECT_DOUBLE_EQ(summarise_attack(non_members["loss"], members["loss"], 1).auc_folded(), auc);
  const AttackMetrics metrics = summarise_attack(members["min_k_20"], non_members["min_k_20"], 1);
  EXPECT_EQ(metrics.members, 11u);
  EXPECT_EQ(metrics.non_members, 12u);
  EXPECT_EQ(metrics.left_out, 1u);
}

TEST(Membership, CurvesWithTiesEqualThoseOfScikitLearn) {
  const json data = fixture();
  ASSERT_EQ(data["curves"].size(), 4u);
  for (const json& c : data["curves"]) {
    const RocCurve curve = roc_curve(c["members"].get<Values>(), c["non_members"].get<Values>());
    EXPECT_NEAR(area(curve), c["auc"].get<double>(), 1e-12);
    EXPECT_THAT(curve.fpr, testing::Pointwise(testing::DoubleNear(1e-12), c["fpr"].get<Values>()));
    EXPECT_THAT(curve.tpr, testing::Pointwise(testing::DoubleNear(1e-12), c["tpr"].get<Values>()));
  }
}

TEST(Membership, RatesAreOfThresholdsNotInterpolated) {
  // Thresholds 9, 7, 5 and 3 give (FPR, TPR) (0, 1/4), (1/20, 1/2), (1/10, 1) and (1, 1).
  const Values members = {9, 7, 5, 5};
  Values non_members(20, 3);
  non_members[0] = 7;
  non_members[1] = 5;
  const AttackMetrics metrics = summarise_attack(members, non_members, 1);
  EXPECT_THAT(metrics.curve.fpr, ElementsAre(0, 0, 0.05, 0.1, 1));
  EXPECT_THAT(metrics.curve.tpr, ElementsAre(0, 0.25, 0.5, 1, 1));
  EXPECT_EQ(metrics.high.tpr_at_5, 0.5);  // at most 5 %, so 1 of 20 counts
  EXPECT_EQ(metrics.high.tpr_at_1, 0.25);
  EXPECT_EQ(metrics.high.tpr_at_0_1, 0.25);
  EXPECT_DOUBLE_EQ(metrics.high.best_accuracy, 0.95);
}

TEST(Membership, ReversedScoresAreNotFolded) {
  const Values low = {1, 2, 3}, high = {4, 5};
  EXPECT_EQ(summarise_attack(low, high, 1).auc, 0);
  EXPECT_EQ(summarise_attack(low, high, 1).high.best_accuracy, 0.5);
  EXPECT_EQ(summarise_attack(high, low, 1).auc, 1);
}

TEST(Membership, IntervalCoversTheTruthAndDependsOnTheSeedAlone) {
  // Normal scores one standard deviation apart: the area is Phi(1 / sqrt 2) = 0.7602.
  const auto scores = [](std::uint64_t stream, std::size_t n, double mean) {
    Values values;
    for (std::size_t i = 0; i < n; ++i) values.push_back(mean + random_normal(3, stream, i));
    return values;
  };
  int covered = 0;
  double width = 0;
  for (std::uint64_t trial = 0; trial < 100; ++trial) {
    const Interval interval = bootstrap_area(scores(2 * trial, 100, 1), scores(2 * trial + 1, 100, 0), 42, 300);
    covered += interval.low <= 0.7602 && 0.7602 <= interval.high;
    width += (interval.high - interval.low) / 100;
  }
  EXPECT_GE(covered, 88);
  EXPECT_LE(covered, 99);
  EXPECT_NEAR(width, 0.133, 0.01);  // 2 x 1.96 standard errors of Hanley and McNeil (1982)

  const Values members = scores(1000, 50, 1), others = scores(1001, 60, 0);
  const Interval one = bootstrap_area(members, others, 7), same = bootstrap_area(members, others, 7),
                 another = bootstrap_area(members, others, 8);
  EXPECT_EQ(one.low, same.low);
  EXPECT_EQ(one.high, same.high);
  EXPECT_NE(one.low, another.low);
}

TEST(Membership, BothDirectionsAreGivenAndTheStrongerIsNamed) {
  // Forgotten too well: members score low but for one in five.
  const Values members = {1, 2, 3, 4, 9}, others = {5, 6, 7, 8, 8.5};
  const AttackMetrics metrics = summarise_attack(members, others, 1);
  EXPECT_DOUBLE_EQ(metrics.auc, 0.2);
  EXPECT_TRUE(metrics.low_is_stronger());
  EXPECT_EQ(metrics.high.tpr_at_1, 0.2);
  EXPECT_EQ(metrics.low.tpr_at_1, 0.8);
  EXPECT_EQ(metrics.low.tpr_at_5, 0.8);
  EXPECT_EQ(metrics.low.tpr_at_0_1, 0.8);
  EXPECT_DOUBLE_EQ(metrics.low.best_accuracy, 0.9);
  EXPECT_EQ(metrics.stronger().tpr_at_1, 0.8);
  const AttackMetrics turned = summarise_attack(others, members, 1);
  EXPECT_FALSE(turned.low_is_stronger());
  EXPECT_EQ(turned.stronger().tpr_at_1, turned.high.tpr_at_1);
}

TEST(Membership, IntervalsDrawDocumentsWithAllTheirScores) {
  // Four equal scores a document say no more than one: the interval is that of one score a document, draw for draw.
  Values members, others, many_members, many_others;
  std::vector<std::uint64_t> member_documents, other_documents;
  for (std::uint64_t i = 0; i < 30; ++i) {
    members.push_back(random_normal(5, 1, i) + 0.5);
    others.push_back(random_normal(5, 2, i));
    for (int copy = 0; copy < 4; ++copy) {
      many_members.push_back(members.back());
      many_others.push_back(others.back());
      member_documents.push_back(3 * i);
      other_documents.push_back(i);
    }
  }
  const Interval one = bootstrap_area(members, others, 7);
  const Interval of_documents = bootstrap_area(many_members, many_others, 7, kResamples, {member_documents, other_documents});
  EXPECT_DOUBLE_EQ(of_documents.low, one.low);
  EXPECT_DOUBLE_EQ(of_documents.high, one.high);
  const Interval of_scores = bootstrap_area(many_members, many_others, 7);
  EXPECT_LT(of_scores.high - of_scores.low, 0.6 * (one.high - one.low));

  // A score that is no number goes with its place among the documents.
  many_members.insert(many_members.begin(), std::nan(""));
  member_documents.insert(member_documents.begin(), 99);
  const AttackMetrics metrics = summarise_attack(many_members, many_others, 7, {member_documents, other_documents});
  EXPECT_DOUBLE_EQ(metrics.auc_low, one.low);
  EXPECT_EQ(metrics.left_out, 1u);
}

TEST(Membership, DocumentsOfUnequalLengthsCountByTheirScores) {
  // Two documents a side: of the four ways to draw a side two hold both documents, with 3 + 1 scores.
  const Values members = {1, 1, 1, 5}, others = {3, 3, 3, 3};
  const std::vector<std::uint64_t> documents = {0, 0, 0, 1}, other_documents = {0, 0, 1, 1};
  const Interval interval = bootstrap_area(members, others, 1, 1000, {documents, other_documents});
  EXPECT_EQ(interval.low, 0);   // three low scores twice
  EXPECT_EQ(interval.high, 1);  // the high one twice
}

TEST(Membership, LowestShareRoundsDown) {
  const Values values = {-1, -9, -3, -7, -5};
  EXPECT_DOUBLE_EQ(mean_of_lowest(values, 40), -8);
  EXPECT_DOUBLE_EQ(mean_of_lowest(values, 59), -8);
  EXPECT_DOUBLE_EQ(mean_of_lowest(values, 100), -5);
  EXPECT_TRUE(std::isnan(mean_of_lowest(values, 19)));
}

TEST(Membership, AVarianceNearNoneDoesNotBlowUp) {
  const TargetScores certain{{-1e-9}, {1}, {-2e-9}, {0}};
  EXPECT_NEAR(min_k_plus_plus(certain, 100), 1e-6, 1e-12);
}

TEST(Membership, ExtractionStrengthIsTheSuffixThatIsAllMostLikely) {
  const auto strength = [](std::vector<std::uint8_t> hits) { return extraction_strength(hits); };
  EXPECT_DOUBLE_EQ(strength({1, 0, 1, 1}), 0.5);
  EXPECT_DOUBLE_EQ(strength({1, 1, 1, 1}), 1);
  EXPECT_DOUBLE_EQ(strength({1, 1, 1, 0}), 0.25);
  EXPECT_DOUBLE_EQ(strength({0, 0, 0, 1}), 0.25);
}

}  // namespace
}  // namespace expunge
