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

Outputs outputs(const fs::path& page) {
  const std::string stem = page.stem().string();
  if (page.extension() == ".md" || stem.empty())
    fail(ExitCode::usage,
         fmt::format("--output {}: expected a file for the HTML page, such as report.html; the Markdown is written beside it",
                     page.string()));
  return {page, page.parent_path() / (stem + ".md"), page.parent_path() / (stem + "-figures")};
}

void check_place(const Outputs& outputs, bool overwrite) {
  check_writable(outputs.page);
  if (overwrite) return;
  for (const fs::path& path : {outputs.page, outputs.markdown, outputs.figures})
    if (fs::exists(path))
      fail(ExitCode::output, fmt::format("{}: exists already; remove it, give another --output or --overwrite", path.string()));
}

/// Writes the figures and removes those of an earlier report.
void write_figures(const fs::path& folder, const Document& document) {
  std::error_code error;
  if (fs::is_directory(folder))
    for (const fs::path& old : list_folder(folder))
      if (old.extension() == ".svg") fs::remove(old, error);
  bool made = false;
  for (const Block& block : document.blocks) {
    const Gallery* const gallery = std::get_if<Gallery>(&block);
    if (!gallery) continue;
    if (!made) fs::create_directories(folder, error);
    if (error) fail(ExitCode::output, fmt::format("{}: cannot make the folder: {}", folder.string(), error.message()));
    made = true;
    for (const Figure& figure : gallery->figures)  // as a file of its own an SVG names its language
      write_file_atomically(folder / (figure.name + ".svg"),
                            "<svg xmlns=\"http://www.w3.org/2000/svg\" " + figure.svg.substr(std::string_view("<svg ").size()));
  }
}

/// Writes all of a report. One that cannot be finished leaves nothing where nothing was.
void write_whole(const Outputs& to, const Document& document) {
  std::vector<fs::path> fresh;
  for (const fs::path& path : {to.figures, to.markdown, to.page})
    if (!fs::exists(path)) fresh.push_back(path);
  try {
    write_figures(to.figures, document);
    write_file_atomically(to.markdown, render_markdown(document, to.figures.filename().string()));
    write_file_atomically(to.page, render_html(document));
  } catch (const Error&) {
    std::error_code ignored;
    for (const fs::path& path : fresh) fs::remove_all(path, ignored);
    throw;
  }
}

}  // namespace

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
