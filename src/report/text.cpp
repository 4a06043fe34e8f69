// Renders a report's table for a terminal.
#include <algorithm>

#include "report/document.h"

namespace expunge {
namespace {

constexpr std::size_t kWidth = 100, kGap = 2;  // width of the terminal, and blanks between columns

/// Number of code points in UTF-8 text; each takes one column here.
std::size_t width(const std::string& text) {
  return static_cast<std::size_t>(
      std::ranges::count_if(text, [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; }));
}

/// Renders the first column and the columns `begin` to `end` - 1 of every line.
std::string render_columns(const std::vector<std::vector<std::string>>& lines, const std::vector<std::size_t>& widths,
                           std::size_t begin, std::size_t end) {
  std::string text;
  for (const auto& line : lines) {
    std::string row;
    const auto add = [&](std::size_t c) { row += line[c] + std::string(widths[c] - width(line[c]), ' '); };
    add(0);
    for (std::size_t c = begin; c < end; ++c) add(c);
    text += row.substr(0, row.find_last_not_of(' ') + 1) + "\n";
  }
  return text;
}

}  // namespace

std::string render_text(const Table& table) {
  std::vector<std::vector<std::string>> lines = table.rows;
  lines.insert(lines.begin(), table.head);
  std::vector<std::size_t> widths(table.head.size());
  for (const auto& line : lines)
    for (std::size_t c = 0; c < line.size(); ++c) widths[c] = std::max(widths[c], width(line[c]) + kGap);
  std::string text;
  std::size_t begin = 1;
  do {
    std::size_t end = begin, wide = widths.front();
    while (end < widths.size() && (end == begin || wide + widths[end] <= kWidth + kGap)) wide += widths[end++];
    text += (begin > 1 ? "\n" : "") + render_columns(lines, widths, begin, end);
    begin = end;
  } while (begin < widths.size());
  return text;
}

}  // namespace expunge
