// Differences between the configs of two starts or two runs, and those that decide the result.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace expunge {

struct Difference {
  std::string key;
  std::string before, after;  ///< "(not set)" if the key is absent or empty; values of a list are joined by ", "
};

/// The keys, in the order of `new_text`, that decide the result and have another value in `old_text`. A key that `old_text`
/// lacks, because an earlier version wrote it, has its value in `defaults`. Throws Error(usage) if a text is not config text.
std::vector<Difference> changed_options(std::string_view old_text, std::string_view new_text, std::string_view defaults = {});
/// The keys, inputs included, that have another value in the new text and may not change on resume. Throws
/// Error(bad_input) if a text is not config text.
std::vector<Difference> edited_options(const std::string& old_text, const std::string& new_text);
/// The first of changed_options().
std::optional<Difference> first_difference(std::string_view old_text, std::string_view new_text,
                                           std::string_view defaults = {});
/// The keys that decide the result and are absent from `old_text`.
std::vector<std::string> later_keys(std::string_view old_text, std::string_view new_text);

}  // namespace expunge
