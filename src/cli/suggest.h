// The known word nearest to a misspelt one.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace expunge {

/// Number of insertions, deletions, replacements and swaps of neighbours that turn `a` into `b` (Damerau-Levenshtein
/// distance, optimal string alignment form).
std::size_t edit_distance(std::string_view a, std::string_view b);

/// The nearest of `known`, the first among equals; nullopt if more than a third of the letters, or more than three, differ.
std::optional<std::string> nearest(std::string_view word, const std::vector<std::string>& known);

}  // namespace expunge
