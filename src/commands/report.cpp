// `expunge report`: reads the runs, says what they did, writes HTML, Markdown and figures.
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
  fs::path page, markdown, figures;
};

/// At the end of each file beside a page, to tell it from other people's and from one that was changed by hand.
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

/// Whether a report made a file beside a page. Earlier versions marked none; their figures are told by SVG as gnuplot draws
/// none.
bool is_own(const fs::path& path) {
  if (!fs::is_regular_file(fs::symlink_status(path))) return false;
  const std::string text = read_file(path, kFileLimit);
  return is_marked(text) ||
         (path.extension() == ".svg" && text.starts_with("<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=") &&
          text.find("role=\"img\">\n<title>") != std::string::npos);
}

std::vector<fs::path> own_plots(const Outputs& to) {
  std::vector<fs::path> own;
  if (fs::is_directory(to.figures))
    for (const fs::path& path : list_folder(to.figures))
      if (path.extension() == ".svg" && is_own(path)) own.push_back(path);
  return own;
}

/// What a report left that was killed before its page was there is replaced without being asked.
void check_place(const Outputs& to, bool overwrite) {
  check_writable(to.page);
  const auto refuse = [](const fs::path& path, const char* why) {
    fail(ExitCode::output, fmt::format("{}: {}", path.string(), why));
  };
  if (std::error_code unknown; !overwrite && fs::exists(to.page, unknown))
    refuse(to.page, "exists already; remove it, give another --output or --overwrite");
  if (fs::exists(fs::symlink_status(to.markdown)) && !is_own(to.markdown))
    refuse(to.markdown, "is in the place of the report's Markdown, and no report wrote it; give another --output or remove it");
  const fs::file_status status = fs::symlink_status(to.figures);
  if (!fs::exists(status)) return;
  if (!fs::is_directory(status)) refuse(to.figures, "is in the place of the report's folder of figures; give another --output");
  remove_stale_staging(to.figures);
  if (!overwrite && !fs::is_empty(to.figures) && own_plots(to).empty())
    refuse(to.figures, "exists already; remove it, give another --output or --overwrite");
}

std::vector<PlotImage> plots_of(const Document& document) {
  std::vector<PlotImage> figures;
  for (const Block& block : document.blocks)
    if (const Gallery* const gallery = std::get_if<Gallery>(&block))
      figures.insert(figures.end(), gallery->plots.begin(), gallery->plots.end());
  return figures;
}

/// Writes all of a report, then makes it live, the page last. One that cannot be written leaves nothing.
void write_whole(const Outputs& to, const Document& document, bool overwrite) {
  const std::vector<PlotImage> figures = plots_of(document);
  if (!figures.empty()) make_folder(to.figures);
  std::vector<PendingFile> files;
  const auto write = [&](const fs::path& path, const std::string& content, Existing existing) {
    files.emplace_back(path, existing);
    write_new_file(files.back().temporary(), content);
  };
  try {
    for (const PlotImage& figure : figures)  // as a file of its own an SVG names its language
      write(to.figures / (figure.name + ".svg"),
            marked(fmt::format("<svg xmlns=\"http://www.w3.org/2000/svg\" {}\n",
                               figure.svg.substr(std::string_view("<svg ").size()))),
            Existing::keep);
    write(to.markdown, marked(render_markdown(document, to.figures.filename().string())),
          fs::exists(to.markdown) ? Existing::replace : Existing::keep);
    write(to.page, render_html(document), existing_of(overwrite));
  } catch (...) {
    files.clear();
    ::rmdir(to.figures.c_str());
    throw;
  }
  for (const fs::path& old : own_plots(to)) fs::remove(old);
  for (PendingFile& file : files) file.commit();
}

}  // namespace

std::vector<fs::path> files_beside_report(const fs::path& page) {
  const Outputs all = outputs(page);
  return {all.markdown, all.figures};
}

namespace {

void run_report(const ReportConfig& config) {
  const Outputs to = outputs(config.output);
  check_place(to, config.overwrite);
  Plotter plotter;
  const Document document = describe_report(read_report_runs(config), config, plotter);
  write_whole(to, document, config.overwrite);
  // The first table is the comparison of the runs.
  for (const Block& block : document.blocks)
    if (const Table* const table = std::get_if<Table>(&block); table && !config.quiet) {
      print_result("{}", render_text(*table));
      break;
    }
  log_info(fmt::format("report: {} and {}", to.page.string(), to.markdown.string()));
}

}  // namespace

OptionTable report_options(ReportConfig& c) {
  OptionTable table("report");
  Option runs = required(naming(
      FileUse::run, list("run", "RUN", c.runs, "run folder, with its evaluations as eval.h5, mia.h5 and task.h5 in it")));
  runs.kind = Option::Kind::positional_list;
  Option output = required(
      path("output", "FILE", FileUse::output, c.output, "HTML page to write; NAME.md and NAME-figures/ are written beside it"));
  output.beside = files_beside_report;
  table.group("Arguments", {runs});
  table.group("Options",
              {naming(FileUse::file, list("before", "FILE", c.before,
                                          "eval.h5 or mia.h5 of an original model; goes to the runs that began from it (or as "
                                          "RUN/eval-before.h5, mia-before.h5)")),
               naming(FileUse::file, list("after", "FILE", c.after,
                                          "eval.h5 or mia.h5 of the one run's model, when it does not lie in the run folder")),
               std::move(output), text("title", "TEXT", c.title, "title of the report"),
               real("pretraining-tokens", c.pretraining_tokens, kCount,
                    "tokens that the original model was trained on, for the ratio to retraining; 0: not known"),
               flag("overwrite", c.overwrite, "replace the report where there is one"), quiet_option(c.quiet), config_option(),
               print_config_option()});
  return table;
}

Command report_command() {
  return command<ReportConfig>("report", "Says what runs forgot, kept and cost: an HTML page, and the same as Markdown.",
                               "expunge report output/run-a output/run-b --before before.h5 --output report.html", Ranks::one,
                               report_options, [](ReportConfig& config, const OptionTable& given) {
                                 check_file_uses(given);
                                 log_setup(0, 1, config.quiet);
                                 run_report(config);
                                 return static_cast<int>(ExitCode::done);
                               });
}

}  // namespace expunge
