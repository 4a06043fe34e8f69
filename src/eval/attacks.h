// Membership inference: one score per sequence from the model's scores of its targets. Members score high.
#pragma once

#include <cstddef>
#include <limits>
#include <span>
#include <string>
#include <vector>

#include "eval/metrics.h"

namespace expunge {

/// The score of a sequence that an attack cannot judge.
inline constexpr double kLeftOut = std::numeric_limits<double>::quiet_NaN();

/// Mean of the lowest floor(n percent / 100) of n values; kLeftOut if that number is 0.
double mean_of_lowest(std::vector<double> values, int percent);

/// Min-K% (Shi et al. 2024): mean of the lowest log-probabilities.
double min_k(const TargetScores& scores, int percent);
/// Min-K%++ (Zhang et al. 2024): the same over (log p - mean) / sqrt(max(variance, 1e-6)), mean and variance of log p under the
/// model at that position.
double min_k_plus_plus(const TargetScores& scores, int percent);
/// Mean log-probability (Yeom et al. 2018), n at least 1.
double mean_log_prob(const TargetScores& scores);
/// Mean log-probability for each byte of the text under zlib (Carlini et al. 2021).
double zlib_score(double mean_log_prob, std::size_t compressed_bytes);

/// The attacks that need only one pass of the model, in the order of the results.
const std::vector<std::string>& attack_names();
/// The scores of a sequence, one for each of attack_names(). Needs mean and variance.
std::vector<double> attack_scores(const TargetScores& scores);

}  // namespace expunge
