// `expunge report`: reads the runs, says what they did, writes HTML, Markdown and figures.
#include <fmt/format.h>

#include <system_error>

#include "expunge/core/error.h"
#include "expunge/core/log.h"
#include "expunge/core/standard_streams.h"
#include "expunge/io/files.h"
#include "expunge/train/commands.h"
#include "train/report_content.h"

namespace expunge {
namespace {

namespace fs = std::filesystem;

struct Outputs {
  fs::path page, markdown, figures;
};

// At the end of each file beside a page, to tell it from other people's.
constexpr std::string_view kMark = "<!-- Written by expunge report. -->\n";
constexpr std::uint64_t kFileLimit = std::uint64_t{1} << 30;

Outputs outputs(const fs::path& page) {
  const std::string stem = page.stem().string();
  if (page.extension() == ".md" || stem.empty())
    fail(ExitCode::usage,
         fmt::format("--output {}: expected a file for the HTML page, such as report.html; the Markdown is written beside it",
                     page.string()));
  return {page, page.parent_path() / (stem + ".md"), page.parent_path() / (stem + "-figures")};
}

/// Whether a report made a file beside a page. Earlier versions left no mark, but the page's title, or SVG as gnuplot draws
/// none.
bool is_own(const fs::path& path, const fs::path& page) {
  if (!fs::is_regular_file(fs::symlink_status(path))) return false;
  const std::string text = read_file(path, kFileLimit);
  if (text.ends_with(kMark)) return true;
  if (path.extension() == ".svg")
    return text.starts_with("<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=") &&
           text.find("role=\"img\">\n<title>") != std::string::npos;
  if (!text.starts_with("# ") || !fs::exists(page)) return false;
  const std::string title = fmt::format("<title>{}</title>", text.substr(2, text.find('\n') - 2));
  return read_file(page, kFileLimit).find(title) != std::string::npos;
}

void check_place(const Outputs& outputs, bool overwrite) {
  check_writable(outputs.page);
  const auto refuse = [](const fs::path& path, const char* why) {
    fail(ExitCode::output, fmt::format("{}: {}", path.string(), why));
  };
  for (const fs::path& path : {outputs.page, outputs.markdown, outputs.figures})
    if (!overwrite && fs::exists(fs::symlink_status(path)))
      refuse(path, "exists already; remove it, give another --output or --overwrite");
  if (fs::exists(fs::symlink_status(outputs.markdown)) && !is_own(outputs.markdown, outputs.page))
    refuse(outputs.markdown, "is in the place of the report's Markdown, and no report wrote it; give another --output");
  if (const fs::file_status status = fs::symlink_status(outputs.figures); fs::exists(status) && !fs::is_directory(status))
    refuse(outputs.figures, "is in the place of the report's folder of figures; give another --output");
}

std::vector<Figure> figures_of(const Document& document) {
  std::vector<Figure> figures;
  for (const Block& block : document.blocks)
    if (const Gallery* const gallery = std::get_if<Gallery>(&block))
      figures.insert(figures.end(), gallery->figures.begin(), gallery->figures.end());
  return figures;
}

/// Removes the figures that a report made, and their folder unless it holds other files.
void remove_figures(const Outputs& to) {
  if (!fs::is_directory(to.figures)) return;
  std::error_code ignored;
  for (const fs::path& old : list_folder(to.figures))
    if (old.extension() == ".svg" && is_own(old, to.page)) fs::remove(old, ignored);
  fs::remove(to.figures, ignored);
}

void write_figures(const Outputs& to, const Document& document) {
  remove_figures(to);
  const std::vector<Figure> figures = figures_of(document);
  if (!figures.empty()) make_folder(to.figures);
  for (const Figure& figure : figures)  // as a file of its own an SVG names its language
    write_file_atomically(to.figures / (figure.name + ".svg"),
                          fmt::format("<svg xmlns=\"http://www.w3.org/2000/svg\" {}{}",
                                      figure.svg.substr(std::string_view("<svg ").size()), kMark),
                          Existing::keep);
}

/// Writes all of a report. One that cannot be finished leaves nothing where nothing was.
void write_whole(const Outputs& to, const Document& document) {
  const bool had_figures = fs::exists(to.figures), had_markdown = fs::exists(to.markdown);
  try {
    write_figures(to, document);
    write_file_atomically(to.markdown, fmt::format("{}{}", render_markdown(document, to.figures.filename().string()), kMark));
    write_file_atomically(to.page, render_html(document));
  } catch (const Error&) {
    if (!had_figures) remove_figures(to);
    std::error_code ignored;
    if (!had_markdown) fs::remove(to.markdown, ignored);
    throw;
  }
}

}  // namespace

std::vector<fs::path> files_beside_report(const fs::path& page) {
  const Outputs all = outputs(page);
  return {all.markdown, all.figures};
}

void run_report(const ReportConfig& config) {
  const Outputs to = outputs(config.output);
  check_place(to, config.overwrite);
  Plotter plotter;
  const Document document = describe_report(read_report_runs(config), config, plotter);
  write_whole(to, document);
  // The first table is the comparison of the runs.
  for (const Block& block : document.blocks)
    if (const Table* const table = std::get_if<Table>(&block); table && !config.quiet) {
      print_result("{}", render_text(*table));
      break;
    }
  log_info(fmt::format("report: {} and {}", to.page.string(), to.markdown.string()));
}

}  // namespace expunge
