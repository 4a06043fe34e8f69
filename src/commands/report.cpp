// `expunge report`: reads runs, describes them, and writes HTML, Markdown and plots.
#include "commands/report.h"

#include <fmt/format.h>

#include <unistd.h>

#include "cli/values.h"
#include "commands/file_uses.h"
#include "commands/shared_options.h"
#include "core/log.h"
#include "core/standard_streams.h"
#include "expunge/error.h"
#include "inference/scoring_model.h"
#include "io/files.h"
#include "io/hash.h"
#include "report/content.h"
#include "report/options.h"
#include "run/output.h"

namespace expunge {
namespace {

namespace fs = std::filesystem;

struct Outputs {
  fs::path page, markdown, plots;  // plots: the folder NAME-figures, whose name is part of the format
};

/// The line at the end of each file beside a page. It tells the file from others' and from one that was changed by hand.
std::string mark_of(std::string_view content) {
  return fmt::format("<!-- Written by expunge report: {} -->\n", sha256_text(content));
}
std::string marked(std::string_view content) { return fmt::format("{}{}", content, mark_of(content)); }
bool is_marked(std::string_view text) {
  const std::size_t mark = text.rfind("<!-- Written by");
  return mark != std::string_view::npos && text.substr(mark) == mark_of(text.substr(0, mark));
}
constexpr std::uint64_t kFileLimit = std::uint64_t{1} << 30;

Outputs outputs(const fs::path& page) {
  const std::string stem = page.stem().string();
  if (page.extension() == ".md" || stem.empty())
    fail(ExitCode::usage,
         fmt::format("--output {}: expected a file for the HTML page, such as report.html; the Markdown is written beside it",
                     page.string()));
  return {page, page.parent_path() / (stem + ".md"), page.parent_path() / (stem + "-figures")};
}

/// True if a report made this file beside a page. Earlier versions wrote no mark; their plots are known by SVG that gnuplot
/// does not write.
bool is_own(const fs::path& path) {
  if (!fs::is_regular_file(fs::symlink_status(path))) return false;
  const std::string text = read_file(path, kFileLimit);
  return is_marked(text) ||
         (path.extension() == ".svg" && text.starts_with("<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=") &&
          text.find("role=\"img\">\n<title>") != std::string::npos);
}

std::vector<fs::path> own_plots(const Outputs& to) {
  std::vector<fs::path> own;
  if (fs::is_directory(to.plots))
    for (const fs::path& path : list_folder(to.plots))
      if (path.extension() == ".svg" && is_own(path)) own.push_back(path);
  return own;
}

/// Checks the places of a report. Files of a report that was killed before its page existed may be replaced.
void check_place(const Outputs& to, bool overwrite) {
  check_writable(to.page);
  const auto refuse = [](const fs::path& path, const char* why) {
    fail(ExitCode::output, fmt::format("{}: {}", path.string(), why));
  };
  if (std::error_code unknown; !overwrite && fs::exists(to.page, unknown))
    refuse(to.page, "exists already; remove it, give another --output or --overwrite");
  if (fs::exists(fs::symlink_status(to.markdown)) && !is_own(to.markdown))
    refuse(to.markdown, "has the name of the report's Markdown, but no report wrote it; give another --output or remove it");
  const fs::file_status status = fs::symlink_status(to.plots);
  if (!fs::exists(status)) return;
  if (!fs::is_directory(status)) refuse(to.plots, "has the name of the report's folder of plots; give another --output");
  remove_stale_staging(to.plots);
  if (!overwrite && !fs::is_empty(to.plots) && own_plots(to).empty())
    refuse(to.plots, "exists already; remove it, give another --output or --overwrite");
}

std::vector<PlotImage> plots_of(const Document& document) {
  std::vector<PlotImage> plots;
  for (const Block& block : document.blocks)
    if (const Gallery* const gallery = std::get_if<Gallery>(&block))
      plots.insert(plots.end(), gallery->plots.begin(), gallery->plots.end());
  return plots;
}

/// Writes all files of a report, then publishes them, the page last. If one cannot be written, nothing is left.
void write_whole(const Outputs& to, const Document& document, bool overwrite) {
  const std::vector<PlotImage> plots = plots_of(document);
  if (!plots.empty()) make_folder(to.plots);
  std::vector<PendingFile> files;
  const auto write = [&](const fs::path& path, const std::string& content, Existing existing) {
    files.emplace_back(path, existing);
    write_new_file(files.back().temporary(), content);
  };
  try {
    for (const PlotImage& plot : plots)  // a file of its own needs the SVG namespace
      write(to.plots / (plot.name + ".svg"),
            marked(fmt::format("<svg xmlns=\"http://www.w3.org/2000/svg\" {}\n",
                               plot.svg.substr(std::string_view("<svg ").size()))),
            Existing::keep);
    write(to.markdown, marked(render_markdown(document, to.plots.filename().string())),
          fs::exists(to.markdown) ? Existing::replace : Existing::keep);
    write(to.page, render_html(document), existing_of(overwrite));
  } catch (...) {
    files.clear();
    ::rmdir(to.plots.c_str());
    throw;
  }
  for (const fs::path& old : own_plots(to)) fs::remove(old);
  for (PendingFile& file : files) file.commit();
}

}  // namespace

std::vector<fs::path> files_beside_report(const fs::path& page) {
  const Outputs all = outputs(page);
  return {all.markdown, all.plots};
}

namespace {

void run_report(const ReportConfig& config) {
  const Outputs to = outputs(config.output);
  check_place(to, config.overwrite);
  Plotter plotter;
  const Document document = describe_report(read_report_runs(config), config, plotter);
  write_whole(to, document, config.overwrite);
  // The first table compares the runs.
  for (const Block& block : document.blocks)
    if (const Table* const table = std::get_if<Table>(&block); table && !config.quiet) {
      print_result("{}", render_text(*table));
      break;
    }
  log_info(fmt::format("report: {} and {}", to.page.string(), to.markdown.string()));
}

}  // namespace

OptionTable report_options(ReportConfig& config) {
  OptionTable table("report");
  Option runs = required(naming(
      FileUse::run, list("run", "RUN", config.runs, "run folder, with its results as eval.h5, mia.h5 and task.h5 in it")));
  runs.kind = Option::Kind::positional_list;
  Option output = required(path("output", "FILE", FileUse::output, config.output,
                                "HTML page to write; NAME.md and the plots in NAME-figures/ lie beside it"));
  output.beside = files_beside_report;
  table.group("Arguments", {runs});
  table.group("Options",
              {naming(FileUse::file, list("before", "FILE", config.before,
                                          "eval.h5 or mia.h5 of an original model, for the runs that began from it (or as "
                                          "RUN/eval-before.h5, mia-before.h5)")),
               naming(FileUse::file, list("after", "FILE", config.after,
                                          "eval.h5 or mia.h5 of the one run's model, if it is not in the run folder")),
               std::move(output), text("title", "TEXT", config.title, "title of the report"),
               real("pretraining-tokens", config.pretraining_tokens, kCount,
                    "tokens in the original model's training, for the ratio to retraining; 0: unknown"),
               flag("overwrite", config.overwrite, "replace an existing report"), quiet_option(config.quiet), config_option(),
               print_config_option()});
  return table;
}

Command report_command() {
  return command<ReportConfig>("report", "Shows what runs forgot, kept and cost: an HTML page, and the same as Markdown.",
                               "expunge report output/run-a output/run-b --before before.h5 --output report.html", Ranks::one,
                               report_options, [](ReportConfig& config, const OptionTable& given) {
                                 check_file_uses(given);
                                 log_setup(0, 1, config.quiet);
                                 run_report(config);
                                 return static_cast<int>(ExitCode::done);
                               });
}

}  // namespace expunge
