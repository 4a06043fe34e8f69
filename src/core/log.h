// Log lines of rank 0 (warnings of any rank) and a progress bar.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace expunge {

/// Sets the logging rank: only rank 0 prints information; with several ranks, warnings are prefixed by the rank.
void log_setup(int rank, int world_size, bool quiet);
/// A line of information on standard error.
void log_info(std::string_view message);
/// A line that the user should act on; printed by every rank, quiet or not.
void log_warning(std::string_view message);

/// The longest prefix of a progress line that fits `width` columns, cut at a " | " between two numbers.
std::string_view fit_figures(std::string_view line, std::size_t width);

/// Progress of a loop: a redrawn bar on a terminal, elsewhere one line every `line_every` steps.
class Progress {
 public:
  Progress(std::string label, std::int64_t total, std::int64_t done, std::int64_t line_every);
  /// `figures`, such as "loss 2.31 | 1.2e4 tokens/s", follow the count and the time left.
  void advance(std::string_view figures);
  /// Ends the bar's line.
  void finish();

 private:
  std::string label_;
  std::int64_t total_, start_, done_, line_every_;
  bool terminal_;
  std::chrono::steady_clock::time_point began_ = std::chrono::steady_clock::now();
};

/// "1 h 02 min", "3 min 10 s", "12 s".
std::string format_duration(double seconds);
/// "1.5 GiB", "12 KiB".
std::string format_bytes(double bytes);

}  // namespace expunge
