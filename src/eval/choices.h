// Answers to questions: the preferred choice, the number in a text, and the share of hits.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace expunge {

/// Index of the answer with the largest log-likelihood, the first among equals. Needs at least one.
std::size_t best_choice(std::span<const double> log_likelihoods);
/// The same for log-likelihood / length, as in the Language Model Evaluation Harness (Gao et al. 2021). Lengths are characters
/// of the answers, above 0.
std::size_t best_choice_normalised(std::span<const double> log_likelihoods, std::span<const double> lengths);

/// Number of characters (code points) of valid UTF-8.
std::size_t character_count(std::string_view text);

/// The mark before the final number in an answer of GSM8K (Cobbe et al. 2021).
inline constexpr std::string_view kAnswerMark = "####";
/// The number of an answer: the first one after the first ####, else the last of all; nothing without a number. In plain form,
/// "-1234.5" for "... is $-1,234.50.": without commas between digits, zeros that do not change the value, and a full stop after
/// it. A minus counts unless a digit or letter is before it.
std::optional<std::string> answer_number(std::string_view text);

/// A share of hits and the standard error of the mean, sqrt(p (1 - p) / (n - 1)), which is NaN for n = 1. Needs at least one
/// hit or miss.
struct HitRate {
  double share, standard_error;
};
HitRate hit_rate(std::span<const std::uint8_t> hits);

}  // namespace expunge
