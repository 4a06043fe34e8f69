// The standard streams: held open, and standard output, on which commands print their results.
#pragma once

#include <fmt/format.h>

#include <string_view>
#include <utility>

namespace expunge {

/// To be called first. A standard stream that is closed is held by a file that takes nothing: the next file to be opened would
/// get its number, and with it what is printed. SIGPIPE and SIGXFSZ are ignored: a write to a pipe without a reader, or past
/// the limit on file sizes, fails like any other, and its file is named and removed.
void hold_standard_streams();

/// Prints on standard output at once. A failure is kept for check_printed(): files of results can still be written.
void print_text(std::string_view text);
template <typename... T>
void print_result(fmt::format_string<T...> format, T&&... values) {
  print_text(fmt::format(format, std::forward<T>(values)...));
}

/// Throws Error(output) unless standard output took all that was printed.
void check_printed();

}  // namespace expunge
