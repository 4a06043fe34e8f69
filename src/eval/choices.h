// Answers to questions: which of several a model prefers, which number a text ends with, and how often they are right.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace expunge {

/// The answer with the largest log-likelihood, the first among equals. At least one.
std::size_t best_choice(std::span<const double> log_likelihoods);
/// The same for log-likelihood / length, as the Language Model Evaluation Harness (Gao et al. 2021) normalises: lengths are
/// characters of the answers, above 0.
std::size_t best_choice_normalised(std::span<const double> log_likelihoods, std::span<const double> lengths);

/// Characters (code points) of valid UTF-8.
std::size_t character_count(std::string_view text);

/// What ends an answer of GSM8K (Cobbe et al. 2021), before its number.
inline constexpr std::string_view kAnswerMark = "####";
/// The number of an answer: the first behind its first ####, else the last of all; nothing where there is none. In plain form,
/// "-1234.5" of "... is $-1,234.50.": commas between digits, zeros that change nothing and a full stop behind it are dropped; a
/// minus counts where no digit or letter is before.
std::optional<std::string> answer_number(std::string_view text);

/// A share of hits and the standard error of the mean, sqrt(p (1 - p) / (n - 1)): not a number for n = 1. At least one hit or
/// miss.
struct HitRate {
  double share, standard_error;
};
HitRate hit_rate(std::span<const std::uint8_t> hits);

}  // namespace expunge
