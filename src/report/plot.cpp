// Writes scripts for gnuplot, and adapts its SVG to a page.
#include "report/plot.h"

#include <fmt/format.h>
#include <re2/re2.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <cmath>
#include <cstdio>

#include "core/text.h"
#include "expunge/error.h"
#include "report/clean_text.h"
#include "report/subprocess.h"

namespace expunge {
namespace {

constexpr std::size_t kMostPoints = 1000;
constexpr std::size_t kHeight = 350, kLegendLine = 21;  // the legend is above the plot
constexpr double kLogRange = 20;                        // an axis with a larger range is logarithmic

/// Okabe and Ito's palette for all kinds of colour vision, without its yellow, which is too faint on white.
constexpr std::array<const char*, 7> kColours = {"#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000"};
constexpr std::array<const char*, 7> kDashes = {"1", "'-'", "'.'", "'-.'", "'_'", "'-..'", "'_.'"};
constexpr std::array<int, 7> kPoints = {7, 5, 9, 13, 11, 15, 6};  // filled circle, square, triangle, diamond, ...

/// Text for a string in single quotes: letters of any script, digits and a few marks.
std::string plain(const std::string& text) {
  constexpr std::string_view kMarks = " _-+.,:;()/%=|";
  std::string safe;
  for (const char c : clean_text(text)) {
    const auto byte = static_cast<unsigned char>(c);
    safe += byte >= 128 || std::isalnum(byte) || kMarks.find(c) != std::string_view::npos ? c : '?';
  }
  return safe;
}

bool drawn(const Curve& curve, std::size_t i) { return std::isfinite(curve.x[i]) && std::isfinite(curve.y[i]); }

bool has_points(const Curve& curve) {
  for (std::size_t i = 0; i < curve.x.size(); ++i)
    if (drawn(curve, i)) return true;
  return false;
}

/// gnuplot's placement of a label at each side of its point, in the order of Curve::Label::Side.
constexpr std::array<const char*, 4> kSides = {"center offset 0,0.8", "left offset 0.9,0", "right offset -0.9,0",
                                               "center offset 0,-0.8"};

/// One column per side; one of them holds the text.
std::string label_columns(const Curve::Label& label) {
  std::string columns;
  for (std::size_t side = 0; side < kSides.size(); ++side)
    columns += fmt::format(" \"{}\"", side == static_cast<std::size_t>(label.side) ? plain(label.text) : "");
  return columns;
}

std::string data_block(const Curve& curve, std::size_t number) {
  check(curve.x.size() == curve.y.size(), "a curve has as many x as y");
  const std::size_t stride = std::max<std::size_t>(1, (curve.x.size() + kMostPoints - 1) / kMostPoints);
  std::string lines = fmt::format("$curve{} << EOD\n", number);
  for (std::size_t i = 0; i < curve.x.size(); ++i)
    if (drawn(curve, i) && (i % stride == 0 || i + 1 == curve.x.size()))
      lines +=
          fmt::format("{:.9g} {:.9g}{}\n", curve.x[i], curve.y[i], curve.labels.empty() ? "" : label_columns(curve.labels[i]));
  return lines + "EOD\n";
}

bool spans_decades(const Plot& plot) {
  double least = plot.level.value_or(INFINITY), most = plot.level.value_or(-INFINITY);
  for (const Curve& curve : plot.curves)
    for (std::size_t i = 0; i < curve.y.size(); ++i) {
      if (!drawn(curve, i)) continue;
      least = std::min(least, curve.y[i]);
      most = std::max(most, curve.y[i]);
    }
  return least > 0 && most / least > kLogRange;
}

std::string curve_command(const Curve& curve, std::size_t number) {
  const std::size_t look = number % kColours.size();
  const std::string line = fmt::format("dashtype {} linewidth 2", kDashes[look]);
  const std::string points = fmt::format("pointtype {} pointsize 0.7", kPoints[look]);
  std::string style;
  switch (curve.style) {
    case Curve::Style::line:
      style = "lines " + line;
      break;
    case Curve::Style::line_points:
      style = "linespoints " + line + " " + points;
      break;
    case Curve::Style::points:
      style = "points " + points;
      break;
    case Curve::Style::steps:
      style = "steps " + line;
      break;
  }
  std::string command = fmt::format("$curve{} using 1:2 with {} linecolor rgb '{}' title '{}'", number, style, kColours[look],
                                    plain(curve.title));
  for (std::size_t side = 0; side < kSides.size() && !curve.labels.empty(); ++side)
    command += fmt::format(", $curve{} using 1:2:{} with labels {} notitle", number, 3 + side, kSides[side]);
  return command;
}

}  // namespace

bool has_points(const Plot& plot) {
  return std::any_of(plot.curves.begin(), plot.curves.end(), [](const Curve& curve) { return has_points(curve); });
}

std::string gnuplot_script(const Plot& plot) {
  const std::size_t height = kHeight + kLegendLine * plot.curves.size();
  std::string script = fmt::format(
      "set encoding utf8\n"
      "set terminal svg dynamic noenhanced size 480,{} font 'sans-serif,15' linewidth 1 background '#ffffff'\n"
      "set key tmargin left vertical Left reverse maxcols 2 samplen 3\n"
      "set border 3 linecolor rgb '#444444'\nset tics nomirror\nset grid linecolor rgb '#dddddd' linewidth 1\n",
      height);
  script += fmt::format("set xlabel '{}'\nset ylabel '{}'\n", plain(plot.x_label), plain(plot.y_label));
  if (plot.unit_square) script += "set xrange [0:1]\nset yrange [0:1]\n";
  if (!plot.unit_square && spans_decades(plot)) script += "set logscale y\nset format y '%g'\n";
  std::vector<std::string> commands;
  if (plot.unit_square) {
    script += "$diagonal << EOD\n0 0\n1 1\nEOD\n";
    commands.push_back("$diagonal using 1:2 with lines dashtype 3 linewidth 1 linecolor rgb '#777777' title 'guessing'");
  }
  bool labelled = false;
  for (std::size_t c = 0; c < plot.curves.size(); ++c) {
    if (!has_points(plot.curves[c])) continue;
    script += data_block(plot.curves[c], c);
    commands.push_back(curve_command(plot.curves[c], c));
    labelled = labelled || !plot.curves[c].labels.empty();
  }
  if (labelled) script += "set offsets graph 0.12, graph 0.12, graph 0.15, graph 0.15\n";
  if (plot.from_zero) script += "set xrange [0:*]\n";
  if (plot.level && std::isfinite(*plot.level))
    commands.push_back(fmt::format("{:.9g} with lines dashtype 2 linewidth 1.5 linecolor rgb '#555555' title '{}'", *plot.level,
                                   plain(plot.level_title)));
  script += "plot ";
  for (std::size_t i = 0; i < commands.size(); ++i) script += (i == 0 ? "" : ", ") + commands[i];
  return script + "\n";
}

std::string page_svg(const std::string& svg, const Plot& plot) {
  const std::size_t begin = svg.find("<svg"), content = svg.find('>', begin);
  check(begin != std::string::npos && content != std::string::npos, "gnuplot prints an SVG");
  static const RE2 view_box("viewBox=\"([0-9. ]+)\"", RE2::Latin1),
      heading("<title>[^<]*</title>[[:space:]]*<desc>[^<]*</desc>", RE2::Latin1);
  std::string box, body = svg.substr(content + 1);
  check(RE2::PartialMatch(svg.substr(begin, content - begin), view_box, &box), "gnuplot's SVG has a viewBox");
  RE2::Replace(&body, heading, "");
  for (const char quote : {'\'', '"'}) {
    body = replace_all(body, fmt::format(" id={}", quote), fmt::format(" id={}{}-", quote, plot.name));
    body = replace_all(body, fmt::format(" xlink:href={}#", quote), fmt::format(" href={}#{}-", quote, plot.name));
  }
  body = replace_all(body, "url(#", "url(#" + plot.name + "-");
  return fmt::format("<svg viewBox=\"{}\" role=\"img\">\n<title>{}</title>\n{}", box, plain(plot.description), body);
}

std::optional<std::string> draw(const Plot& plot) {
  const std::optional<Finished> run = run_program({"gnuplot", "-d"}, gnuplot_script(plot));
  if (!run) return std::nullopt;
  if (run->status != 0)
    fail(ExitCode::internal,
         fmt::format("gnuplot could not draw {} (exit status {}): {}", plot.name, run->status, run->errors));
  if (run->output.find("</svg>") == std::string::npos)
    fail(ExitCode::output,
         fmt::format("gnuplot's drawing of {} is not whole: free some space for temporary files in {}, or raise the "
                     "limit on file sizes (ulimit -f)",
                     plot.name, P_tmpdir));
  return page_svg(run->output, plot);
}

}  // namespace expunge
