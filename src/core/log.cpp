// Log lines and progress on standard error.
#include "core/log.h"

#include <fmt/format.h>
#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdio>

namespace expunge {
namespace {

struct Speaker {
  int rank = 0;
  int world_size = 1;
  bool quiet = false;
  bool speaks() const { return rank == 0 && !quiet; }
};
Speaker speaker;

spdlog::logger& logger() {
  static const auto instance = [] {
    auto made = spdlog::stderr_color_mt("expunge");
    made->set_pattern("%H:%M:%S %^%v%$");
    made->set_error_handler([](const std::string&) {});
    return made;
  }();
  return *instance;
}

constexpr std::int64_t kFewestBarCells = 8, kMostBarCells = 24;
std::atomic<bool> bar_drawn = false;  // the cursor stands behind a bar

/// Ignores write errors (terminal gone, disk full): the log is not a result, and the run continues.
void show(const std::string& text) {
  std::fputs(text.c_str(), stderr);
  std::fflush(stderr);
}

/// Erases the bar before a log line; the next step draws it again below.
void make_room() {
  if (bar_drawn.exchange(false)) show("\r\033[K");
}

/// Width of the terminal. A wider line would wrap, and only its last row would be redrawn.
std::int64_t terminal_width() {
  winsize size{};
  return ioctl(2, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
}

}  // namespace

void log_setup(int rank, int world_size, bool quiet) { speaker = {rank, world_size, quiet}; }

void log_info(std::string_view message) {
  if (!speaker.speaks()) return;
  make_room();
  logger().info(message);
}

void log_warning(std::string_view message) {
  make_room();
  if (speaker.world_size > 1)
    logger().warn("warning (rank {}): {}", speaker.rank, message);
  else
    logger().warn("warning: {}", message);
}

std::string_view fit_figures(std::string_view line, std::size_t width) {
  if (line.size() <= width) return line;
  const auto end = line.rfind(" |", width);
  return line.substr(0, end == std::string_view::npos ? width : end);
}

Progress::Progress(std::string label, std::int64_t total, std::int64_t done, std::int64_t line_every)
    : label_(std::move(label)), total_(total), start_(done), done_(done), line_every_(line_every), terminal_(isatty(2) != 0) {}

void Progress::advance(std::string_view figures) {
  ++done_;
  if (!speaker.speaks()) return;
  const double elapsed = std::chrono::duration<double>(std::chrono::steady_clock::now() - began_).count();
  const double left = elapsed / static_cast<double>(done_ - start_) * static_cast<double>(total_ - done_);
  const std::string text = fmt::format("{}/{} | {} left | {}", done_, total_, format_duration(left), figures);
  if (terminal_) {
    const std::int64_t width = terminal_width();
    const std::int64_t room = width - static_cast<std::int64_t>(label_.size() + text.size()) - 5;  // " [", "] ", the cursor
    const std::int64_t cells = std::clamp(room, kFewestBarCells, kMostBarCells);
    const auto filled = static_cast<std::size_t>(cells * done_ / std::max<std::int64_t>(total_, 1));
    const std::string line = fmt::format("{} [{:-<{}}] {}", label_, std::string(filled, '#'), cells, text);
    show(fmt::format("\r\033[K{}", fit_figures(line, static_cast<std::size_t>(width - 1))));
    bar_drawn = true;
  } else if (line_every_ > 0 && (done_ % line_every_ == 0 || done_ == total_)) {
    log_info(fmt::format("{} {}", label_, text));
  }
}

void Progress::finish() {
  if (bar_drawn.exchange(false)) show("\n");
}

std::string format_duration(double seconds) {
  constexpr double kLongest = 1e15;  // a damaged results file may hold any number
  const auto s = static_cast<std::int64_t>(seconds < kLongest ? seconds + 0.5 : kLongest);
  if (s < 60) return fmt::format("{} s", s);
  if (s < 3600) return fmt::format("{} min {:02} s", s / 60, s % 60);
  return fmt::format("{} h {:02} min", s / 3600, s % 3600 / 60);
}

std::string format_bytes(double bytes) {
  const char* const units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
  std::size_t unit = 0;
  while (bytes >= 1024 && unit < 4) {
    bytes /= 1024;
    ++unit;
  }
  return fmt::format("{:.{}f} {}", bytes, bytes < 10 && unit > 0 ? 1 : 0, units[unit]);
}

}  // namespace expunge
