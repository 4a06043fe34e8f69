// Computes ROC curves by sorting, and bootstraps ranks instead of scores.
#include "eval/roc.h"

#include <algorithm>
#include <cmath>

#include "core/random.h"
#include "expunge/error.h"

namespace expunge {
namespace {

std::vector<double> distinct(std::span<const double> members, std::span<const double> non_members) {
  std::vector<double> values(members.begin(), members.end());
  values.insert(values.end(), non_members.begin(), non_members.end());
  std::sort(values.begin(), values.end());
  values.erase(std::unique(values.begin(), values.end()), values.end());
  return values;
}

/// Index of each score in the ascending distinct values.
std::vector<std::size_t> places(std::span<const double> scores, const std::vector<double>& values) {
  std::vector<std::size_t> result;
  for (const double score : scores)
    result.push_back(static_cast<std::size_t>(std::lower_bound(values.begin(), values.end(), score) - values.begin()));
  return result;
}

std::vector<double> counts(std::span<const double> scores, const std::vector<double>& values) {
  std::vector<double> result(values.size());
  for (const std::size_t place : places(scores, values)) ++result[place];
  return result;
}

/// Scores grouped by document, as indices of distinct values.
struct Documents {
  std::vector<std::size_t> places;
  std::vector<std::size_t> begins;  ///< where each document's places begin, and the end of the last
};

Documents group(std::vector<std::size_t> places, std::span<const std::uint64_t> documents) {
  check(documents.empty() || documents.size() == places.size(), "a document for each score");
  Documents result{std::move(places), {}};
  for (std::size_t i = 0; i < result.places.size(); ++i)
    if (i == 0 || documents.empty() || documents[i] != documents[i - 1]) result.begins.push_back(i);
  result.begins.push_back(result.places.size());
  return result;
}

/// Draws documents with replacement, as counts of each distinct value. Returns the number of their scores.
double resample(std::vector<double>& drawn, const Documents& documents, std::uint64_t seed, std::uint64_t stream, int round) {
  std::fill(drawn.begin(), drawn.end(), 0.0);
  const std::uint64_t n = documents.begins.size() - 1;
  std::size_t scores = 0;
  for (std::uint64_t i = 0; i < n; ++i) {
    const std::size_t document = random_below(seed, stream, static_cast<std::uint64_t>(round) * n + i, n);
    const std::size_t begin = documents.begins[document], end = documents.begins[document + 1];
    for (std::size_t at = begin; at < end; ++at) ++drawn[documents.places[at]];
    scores += end - begin;
  }
  return static_cast<double>(scores);
}

/// The value below which a share of the sorted values lies, by linear interpolation.
double percentile(const std::vector<double>& sorted, double share) {
  const double at = share * static_cast<double>(sorted.size() - 1);
  const auto below = static_cast<std::size_t>(at);
  const std::size_t above = std::min(below + 1, sorted.size() - 1);
  return sorted[below] + (at - static_cast<double>(below)) * (sorted[above] - sorted[below]);
}

/// Scores that are not NaN, with their documents.
struct Numbers {
  std::vector<double> scores;
  std::vector<std::uint64_t> documents;
};

Numbers numbers(std::span<const double> scores, std::span<const std::uint64_t> documents) {
  Numbers result;
  for (std::size_t i = 0; i < scores.size(); ++i) {
    if (std::isnan(scores[i])) continue;
    result.scores.push_back(scores[i]);
    if (!documents.empty()) result.documents.push_back(documents[i]);
  }
  return result;
}

std::vector<double> turned(std::vector<double> scores) {
  for (double& score : scores) score = -score;
  return scores;
}

AttackRates rates(const RocCurve& curve) {
  return {best_accuracy(curve), tpr_at(curve, 0.05), tpr_at(curve, 0.01), tpr_at(curve, 0.001)};
}

}  // namespace

RocCurve roc_curve(std::span<const double> members, std::span<const double> non_members) {
  check(!members.empty() && !non_members.empty(), "a ROC curve needs members and non-members");
  const std::vector<double> values = distinct(members, non_members);
  const std::vector<double> positive = counts(members, values), negative = counts(non_members, values);
  RocCurve curve{{0}, {0}};
  double hits = 0, false_alarms = 0;
  for (std::size_t v = values.size(); v-- > 0;) {
    hits += positive[v];
    false_alarms += negative[v];
    curve.fpr.push_back(false_alarms / static_cast<double>(non_members.size()));
    curve.tpr.push_back(hits / static_cast<double>(members.size()));
  }
  return curve;
}

double area(const RocCurve& curve) {
  double sum = 0;
  for (std::size_t i = 1; i < curve.fpr.size(); ++i)
    sum += (curve.fpr[i] - curve.fpr[i - 1]) * (curve.tpr[i] + curve.tpr[i - 1]) / 2;
  return sum;
}

double tpr_at(const RocCurve& curve, double fpr) {
  const auto beyond = std::upper_bound(curve.fpr.begin(), curve.fpr.end(), fpr);  // valid because both rates rise
  check(beyond != curve.fpr.begin(), "a curve begins at a false-positive rate of 0");
  return curve.tpr[static_cast<std::size_t>(beyond - curve.fpr.begin()) - 1];
}

double best_accuracy(const RocCurve& curve) {
  double best = 0;
  for (std::size_t i = 0; i < curve.fpr.size(); ++i) best = std::max(best, 1 - (curve.fpr[i] + 1 - curve.tpr[i]) / 2);
  return best;
}

Interval bootstrap_area(std::span<const double> members, std::span<const double> non_members, std::uint64_t seed, int resamples,
                        const ScoreDocuments& documents) {
  check(!members.empty() && !non_members.empty() && resamples > 0, "a bootstrap needs members and non-members");
  const std::vector<double> values = distinct(members, non_members);
  const Documents positive = group(places(members, values), documents.members);
  const Documents negative = group(places(non_members, values), documents.non_members);
  const std::uint64_t member_stream = random_stream("bootstrap members"), other_stream = random_stream("bootstrap non-members");
  std::vector<double> areas, drawn(values.size()), drawn_others(values.size());
  for (int round = 0; round < resamples; ++round) {
    const double scores = resample(drawn, positive, seed, member_stream, round);
    const double others = resample(drawn_others, negative, seed, other_stream, round);
    double won = 0, lower = 0;  // pairs in which the member scores higher; non-members with lower scores
    for (std::size_t v = 0; v < values.size(); ++v) {
      won += drawn[v] * (lower + drawn_others[v] / 2);
      lower += drawn_others[v];
    }
    areas.push_back(won / (scores * others));
  }
  std::sort(areas.begin(), areas.end());
  return {percentile(areas, 0.025), percentile(areas, 0.975)};
}

AttackMetrics summarise_attack(std::span<const double> members, std::span<const double> non_members, std::uint64_t seed,
                               const ScoreDocuments& documents) {
  const Numbers positive = numbers(members, documents.members), negative = numbers(non_members, documents.non_members);
  RocCurve curve = roc_curve(positive.scores, negative.scores);
  const Interval interval =
      bootstrap_area(positive.scores, negative.scores, seed, kResamples, {positive.documents, negative.documents});
  const RocCurve of_low = roc_curve(turned(positive.scores), turned(negative.scores));
  const std::size_t scored = positive.scores.size() + negative.scores.size();
  return {.auc = area(curve),
          .auc_low = interval.low,
          .auc_high = interval.high,
          .high = rates(curve),
          .low = rates(of_low),
          .members = positive.scores.size(),
          .non_members = negative.scores.size(),
          .left_out = members.size() + non_members.size() - scored,
          .curve = std::move(curve)};
}

}  // namespace expunge
