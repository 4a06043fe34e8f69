// Plots as values, drawn by gnuplot as SVG.
#pragma once

#include <optional>
#include <string>
#include <vector>

namespace expunge {

struct Curve {
  enum class Style { line, line_points, points, steps };
  std::string title;
  std::vector<double> x, y;  ///< of equal length; points that are not finite are left out
  Style style = Style::line;
  struct Label {
    enum class Side { above, right, left, below };
    std::string text;
    Side side = Side::above;
  };
  std::vector<Label> labels = {};  ///< of each point; empty: none
};

struct Plot {
  std::string name;         ///< letters, digits and '-'; prefix of the ids in the SVG
  std::string description;  ///< for readers who cannot see the plot
  std::string x_label, y_label;
  std::vector<Curve> curves;
  bool from_zero = false;            ///< x is never negative, so its axis begins at 0
  bool unit_square = false;          ///< both axes run from 0 to 1; draws the diagonal of guessing
  std::optional<double> level = {};  ///< a horizontal line
  std::string level_title = {};
};

/// True if the plot has a point to draw.
bool has_points(const Plot& plot);
/// The program for gnuplot. Thins curves of more than 1000 points; replaces characters of texts that gnuplot might interpret.
std::string gnuplot_script(const Plot& plot);
/// Adapts the output of gnuplot's svg terminal to a page: no prolog, no namespaces, no size but a viewBox, ids with the
/// plot's name as prefix.
std::string page_svg(const std::string& svg, const Plot& plot);
/// Runs gnuplot; returns nothing if it is not installed. Throws Error(internal) with its message if it fails.
std::optional<std::string> draw(const Plot& plot);

}  // namespace expunge
