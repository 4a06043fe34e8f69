// Chooses answers, finds numbers in texts, and computes shares of hits.
#include "eval/choices.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

namespace expunge {
namespace {

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

/// Normalises digits with at most one point: removes zeros that do not change the value.
std::string plain_number(std::string digits, bool negative) {
  if (const std::size_t point = digits.find('.'); point != std::string::npos) {
    digits.erase(digits.find_last_not_of('0') + 1);
    if (digits.ends_with('.')) digits.pop_back();
  }
  std::size_t zeros = 0;
  while (zeros + 1 < digits.size() && digits[zeros] == '0' && is_digit(digits[zeros + 1])) ++zeros;
  digits.erase(0, zeros);
  return negative && digits != "0" ? "-" + digits : digits;
}

std::vector<std::string> numbers(std::string_view text) {
  std::vector<std::string> found;
  for (std::size_t i = 0; i < text.size();) {
    if (!is_digit(text[i])) {
      ++i;
      continue;
    }
    // A "-" before the first digit, perhaps before a currency sign, is a minus unless it is a hyphen.
    std::size_t before = i;
    if (before > 0 && text[before - 1] == '$') --before;
    const bool minus = before > 0 && text[before - 1] == '-';
    const bool hyphen = minus && before > 1 && (is_digit(text[before - 2]) || is_letter(text[before - 2]));
    std::string digits;
    bool fraction = false;
    for (; i < text.size(); ++i) {
      const bool more = i + 1 < text.size() && is_digit(text[i + 1]);
      if (text[i] == ',' && !fraction && more) continue;
      if (text[i] == '.' && !fraction && more)
        fraction = true;
      else if (!is_digit(text[i]))
        break;
      digits += text[i];
    }
    found.push_back(plain_number(std::move(digits), minus && !hyphen));
  }
  return found;
}

}  // namespace

std::size_t best_choice(std::span<const double> log_likelihoods) {
  return static_cast<std::size_t>(std::ranges::max_element(log_likelihoods) - log_likelihoods.begin());
}

std::size_t best_choice_normalised(std::span<const double> log_likelihoods, std::span<const double> lengths) {
  std::vector<double> normalised(log_likelihoods.begin(), log_likelihoods.end());
  for (std::size_t i = 0; i < normalised.size(); ++i) normalised[i] /= lengths[i];
  return best_choice(normalised);
}

std::size_t character_count(std::string_view text) {
  // Count all bytes except continuation bytes.
  return static_cast<std::size_t>(std::ranges::count_if(text, [](char c) { return (c & '\xc0') != '\x80'; }));
}

std::optional<std::string> answer_number(std::string_view text) {
  const std::size_t mark = text.find(kAnswerMark);
  std::vector<std::string> found = numbers(mark == std::string_view::npos ? text : text.substr(mark));
  if (found.empty()) return std::nullopt;
  return mark == std::string_view::npos ? std::move(found.back()) : std::move(found.front());
}

HitRate hit_rate(std::span<const std::uint8_t> hits) {
  const auto n = static_cast<double>(hits.size());
  const double share = static_cast<double>(std::accumulate(hits.begin(), hits.end(), std::size_t{0})) / n;
  return {share, std::sqrt(share * (1 - share) / (n - 1))};
}

}  // namespace expunge
