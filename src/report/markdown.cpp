// Renders a report as Markdown.
#include <fmt/format.h>

#include "report/clean_text.h"
#include "report/document.h"

namespace expunge {
namespace {

/// Text on one line that no renderer takes for markup, HTML or a link.
std::string as_markdown(const std::string& raw) {
  const std::string text = clean_text(raw);
  constexpr std::string_view kMarkup = "\\`*_[]|~$@";
  std::string safe;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    const std::string_view rest = std::string_view(text).substr(i);
    if (c == '<')
      safe += "&lt;";
    else if (c == '>')
      safe += "&gt;";
    else if (c == '&')
      safe += "&amp;";
    else if (kMarkup.find(c) != std::string_view::npos || rest.starts_with("://") || (c == '.' && safe.ends_with("www")) ||
             (c == '#' && i == 0))
      safe += {'\\', c};
    else
      safe += c == '\n' || c == '\t' ? ' ' : c;
  }
  return safe;
}

std::string row(const std::vector<std::string>& cells) {
  std::string line = "|";
  for (const std::string& cell : cells) line += " " + as_markdown(cell) + " |";
  return line + "\n";
}

std::string render(const Heading& heading, const std::string&) {
  return std::string(static_cast<std::size_t>(heading.level), '#') + " " + as_markdown(heading.text) + "\n\n";
}

std::string render(const Paragraph& paragraph, const std::string&) {
  return (paragraph.kind == Paragraph::Kind::note ? "> " : "") + as_markdown(paragraph.text) + "\n\n";
}

std::string render(const Table& table, const std::string&) {
  if (table.rows.empty()) return "";
  const std::size_t columns = table.rows.front().size();
  std::string text = table.head.empty() ? row(std::vector<std::string>(columns)) : row(table.head);
  text += "|";
  for (std::size_t c = 0; c < columns; ++c) text += c == 0 || table.head.empty() ? " --- |" : " ---: |";
  text += "\n";
  for (const std::vector<std::string>& cells : table.rows) text += row(cells);
  return text + "\n";
}

/// Indents the text, so that nothing in it can end the block.
std::string render(const Listing& listing, const std::string&) {
  std::string text = as_markdown(listing.title) + ":\n\n    ";
  for (const char c : clean_text(listing.text)) text += c == '\n' ? "\n    " : std::string(1, c);
  return text + "\n\n";
}

std::string render(const Gallery& gallery, const std::string& plots) {
  std::string text;
  for (const PlotImage& plot : gallery.plots)
    text += fmt::format("![{}](<{}/{}.svg>)\n\n{}\n\n", as_markdown(plot.caption), plots, plot.name, as_markdown(plot.caption));
  return text;
}

}  // namespace

std::string render_markdown(const Document& document, const std::string& plots) {
  std::string page = "# " + as_markdown(document.title) + "\n\n";
  for (const Block& block : document.blocks) page += std::visit([&](const auto& part) { return render(part, plots); }, block);
  return page;
}

}  // namespace expunge
