// Renders a report as one HTML page.
#include <fmt/format.h>

#include "report/clean_text.h"
#include "report/document.h"

namespace expunge {
namespace {

constexpr const char* kStyle = R"(
:root { color-scheme: light dark; --text: #1b1b1b; --page: #ffffff; --soft: #f1f3f5; --line: #c4cad0; --mark: #e3f0fa;
  --note: #fff3d6; --quiet: #555b61; }
@media (prefers-color-scheme: dark) { :root { --text: #e8e8e8; --page: #16181a; --soft: #23272b; --line: #4a5056;
  --mark: #17324a; --note: #43350f; --quiet: #a9b0b6; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 1rem; max-width: 70rem; color: var(--text); background: var(--page);
  font: 1rem/1.5 system-ui, -apple-system, "Segoe UI", "Liberation Sans", Arial, sans-serif; overflow-wrap: anywhere; }
h1 { font-size: 1.7rem; line-height: 1.2; }
h2 { font-size: 1.3rem; margin-top: 2.5rem; padding-top: .5rem; border-top: 2px solid var(--line); }
h3 { font-size: 1.05rem; margin: 1.8rem 0 .4rem; }
nav ul { list-style: none; padding: 0; display: flex; flex-wrap: wrap; gap: .3rem 1.2rem; }
nav a { color: inherit; }
.note { background: var(--note); border-left: .3rem solid #e69f00; padding: .4rem .7rem; }
table { border-collapse: collapse; margin: .7rem 0; font-variant-numeric: tabular-nums; font-size: .92rem; }
th, td { padding: .3rem .6rem; border-bottom: 1px solid var(--line); text-align: right; vertical-align: top;
  overflow-wrap: break-word; }
th { background: var(--soft); vertical-align: bottom; }
th:first-child, td:first-child, table.facts td { text-align: left; }
table.facts td:first-child { color: var(--quiet); min-width: 8rem; }
table.facts td:last-child { overflow-wrap: anywhere; }
.scroll { overflow-x: auto; }
tr.marked td { background: var(--mark); font-weight: 600; }
details { margin: .7rem 0; }
summary { cursor: pointer; }
pre { background: var(--soft); padding: .7rem; font-size: .8rem; white-space: pre-wrap; }
.gallery { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 24rem), 1fr)); gap: 1rem; }
figure { margin: .7rem 0; max-width: 38rem; }
figure svg { display: block; width: 100%; height: auto; background: #fff; border: 1px solid var(--line); }
figcaption { font-size: .88rem; color: var(--quiet); padding-top: .3rem; }
@media (max-width: 40rem) {
  body { padding: .7rem; }
  table.wide, table.wide tbody, table.wide tr, table.wide td { display: block; width: 100%; }
  table.wide thead { display: none; }
  table.wide tr { border: 1px solid var(--line); margin-bottom: .8rem; }
  table.wide td, table.wide td:first-child { overflow-wrap: anywhere; display: flex; justify-content: space-between; gap: 1rem; text-align: right; }
  table.wide td::before { content: attr(data-label); color: var(--quiet); text-align: left; font-weight: 400; flex: none; max-width: 50%; overflow-wrap: normal; }
  table.wide td:first-child { background: var(--soft); font-weight: 600; }
  table.facts td { display: block; border: 0; padding: .1rem 0; }
  table.facts td:last-child { border-bottom: 1px solid var(--line); }
}
)";

std::string as_html(const std::string& text) {
  std::string safe;
  for (const char c : clean_text(text)) {
    switch (c) {
      case '&':
        safe += "&amp;";
        break;
      case '<':
        safe += "&lt;";
        break;
      case '>':
        safe += "&gt;";
        break;
      case '"':
        safe += "&quot;";
        break;
      case '\'':
        safe += "&#39;";
        break;
      default:
        safe += c;
    }
  }
  return safe;
}

/// Lets a cell break after the characters that join words in names and paths.
std::string escape_cell(const std::string& text) {
  std::string safe;
  for (const char c : as_html(text)) {
    safe += c;
    if (c == '_' || c == '/') safe += "<wbr>";
  }
  return safe;
}

/// The anchor of a section.
std::string section_id(int number) { return fmt::format("section-{}", number); }

/// Links to all sections, because a report of several runs is long.
std::string render_contents(const Document& document) {
  std::string links;
  int number = 0;
  for (const Block& block : document.blocks)
    if (const Heading* const heading = std::get_if<Heading>(&block); heading && heading->level == 2)
      links += fmt::format("<li><a href=\"#{}\">{}</a></li>", section_id(++number), escape_cell(heading->text));
  return links.empty() ? "" : fmt::format("<nav><ul>{}</ul></nav>\n", links);
}

std::string render(const Heading& heading) { return fmt::format("<h{0}>{1}</h{0}>\n", heading.level, as_html(heading.text)); }

std::string render(const Paragraph& paragraph) {
  return fmt::format("<p{}>{}</p>\n", paragraph.kind == Paragraph::Kind::note ? " class=\"note\"" : "",
                     as_html(paragraph.text));
}

std::string render(const Table& table) {
  const bool facts = table.head.empty();
  std::string text = fmt::format("<div class=\"scroll\"><table class=\"{}\">\n", facts ? "facts" : "wide");
  if (!facts) {
    text += "<thead><tr>";
    for (const std::string& cell : table.head) text += fmt::format("<th scope=\"col\">{}</th>", as_html(cell));
    text += "</tr></thead>\n";
  }
  text += "<tbody>\n";
  for (std::size_t r = 0; r < table.rows.size(); ++r) {
    text += r < table.marked.size() && table.marked[r] ? "<tr class=\"marked\">" : "<tr>";
    for (std::size_t c = 0; c < table.rows[r].size(); ++c) {
      const std::string label = facts ? "" : fmt::format(" data-label=\"{}\"", as_html(table.head[c]));
      text += fmt::format("<td{}>{}</td>", label, escape_cell(table.rows[r][c]));
    }
    text += "</tr>\n";
  }
  return text + "</tbody>\n</table></div>\n";
}

std::string render(const Listing& listing) {
  return fmt::format("<details><summary>{}</summary><pre>{}</pre></details>\n", as_html(listing.title), as_html(listing.text));
}

std::string render(const Gallery& gallery) {
  std::string text = "<div class=\"gallery\">\n";
  for (const PlotImage& plot : gallery.plots)
    text += fmt::format("<figure>\n{}<figcaption>{}</figcaption>\n</figure>\n", plot.svg, as_html(plot.caption));
  return text + "</div>\n";
}

}  // namespace

std::string render_html(const Document& document) {
  const std::string title = as_html(document.title);
  std::string page = fmt::format(
      "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
      "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n"
      "<title>{}</title>\n<style>{}</style>\n</head>\n<body>\n<h1>{}</h1>\n",
      title, kStyle, title);
  page += render_contents(document);
  int section = 0;
  for (const Block& block : document.blocks) {
    if (const Heading* const heading = std::get_if<Heading>(&block); heading && heading->level == 2)
      page += fmt::format("<h2 id=\"{}\">{}</h2>\n", section_id(++section), as_html(heading->text));
    else
      page += std::visit([](const auto& part) { return render(part); }, block);
  }
  return page + "</body>\n</html>\n";
}

}  // namespace expunge
