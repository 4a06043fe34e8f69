// The standard streams: kept open, and standard output for the results of commands.
#pragma once

#include <fmt/format.h>

#include <string_view>
#include <utility>

namespace expunge {

/// Must be called first. A closed standard stream is reopened on a file that accepts nothing; otherwise the next opened file
/// would get its number and receive printed text. SIGPIPE and SIGXFSZ are ignored. A write to a pipe without a reader, or
/// past the file size limit, then fails like any other. Its file is named and removed.
void hold_standard_streams();

/// Prints on standard output at once. check_printed() reports a failure later, so that results files can still be written.
void print_text(std::string_view text);
template <typename... T>
void print_result(fmt::format_string<T...> format, T&&... values) {
  print_text(fmt::format(format, std::forward<T>(values)...));
}

/// Throws Error(output) if any printed text could not be written.
void check_printed();

}  // namespace expunge
