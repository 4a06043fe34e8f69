// Long inputs out of short ones.
#pragma once

#include <algorithm>
#include <cctype>
#include <cstddef>
#include <random>
#include <string>
#include <vector>

namespace expunge::fuzz {

/// `input` with a part of it repeated until it has about `size` bytes. Parts end where lines, members and words do, or
/// anywhere; half of the time each repetition has a number behind its first quotation mark, for names that differ.
template <typename Random>
std::string grow(const std::string& input, std::size_t size, Random& random) {
  if (input.empty() || input.size() >= size) return input;
  const bool anywhere = random() % 4 == 0, numbered = random() % 2 == 0;
  std::vector<std::size_t> places;
  for (std::size_t i = 0; i <= input.size(); ++i) {
    const bool after_word = i == 0 || i == input.size() || !std::isalnum(static_cast<unsigned char>(input[i - 1]));
    if (anywhere || after_word) places.push_back(i);
  }
  const std::size_t first = random() % (places.size() - 1);
  const std::size_t last = first + 1 + random() % std::min<std::size_t>(16, places.size() - 1 - first);
  const std::string part = input.substr(places[first], places[last] - places[first]);
  const std::size_t quote = numbered ? part.find('"') : std::string::npos;
  std::string grown = input.substr(0, places[first]);
  for (std::size_t i = 0; grown.size() + input.size() < size; ++i)
    grown += quote == std::string::npos ? part : part.substr(0, quote + 1) + std::to_string(i) + part.substr(quote + 1);
  return grown + input.substr(places[first]);
}

}  // namespace expunge::fuzz
