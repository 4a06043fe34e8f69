// What differs between the configs of two starts or two runs, and which of it decides the result.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace expunge {

struct Difference {
  std::string key;
  std::string before, after;  ///< "(not set)" where the key is absent or empty; a list's values joined by ", "
};

/// The keys, in the order of `new_text`, that decide the result and have another value in `old_text`. A key that `old_text`
/// lacks, as an earlier version wrote it, has the value that it has in `defaults`. Throws Error(usage) when one of them is not
/// config text.
std::vector<Difference> changed_options(std::string_view old_text, std::string_view new_text, std::string_view defaults = {});
/// The keys, inputs included, that have another value in the new text and may not change when a run is resumed. Throws
/// Error(bad_input) when one of them is not config text.
std::vector<Difference> edited_options(const std::string& old_text, const std::string& new_text);
/// The first of changed_options().
std::optional<Difference> first_difference(std::string_view old_text, std::string_view new_text,
                                           std::string_view defaults = {});
/// The keys that decide the result and that `old_text` does not name.
std::vector<std::string> later_keys(std::string_view old_text, std::string_view new_text);

}  // namespace expunge
