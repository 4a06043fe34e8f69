// Plots as values, drawn by gnuplot as SVG.
#pragma once

#include <optional>
#include <string>
#include <vector>

namespace expunge {

struct Curve {
  enum class Style { line, line_points, points, steps };
  std::string title;
  std::vector<double> x, y;  ///< equally long; points that are not finite are left out
  Style style = Style::line;
  struct Label {
    enum class Side { above, right, left, below };
    std::string text;
    Side side = Side::above;
  };
  std::vector<Label> labels = {};  ///< of each point; empty: none
};

struct Plot {
  std::string name;         ///< letters, digits and '-'; begins the ids of the SVG
  std::string description;  ///< for those who do not see it
  std::string x_label, y_label;
  std::vector<Curve> curves;
  bool from_zero = false;            ///< x is never negative, and its axis begins at 0
  bool unit_square = false;          ///< both axes from 0 to 1, with the diagonal of guessing
  std::optional<double> level = {};  ///< a horizontal line
  std::string level_title = {};
};

/// Whether there is anything to draw.
bool has_points(const Plot& plot);
/// The program for gnuplot. Curves of more than 1000 points are thinned; text is reduced to what gnuplot cannot take for
/// anything else.
std::string gnuplot_script(const Plot& plot);
/// Makes what gnuplot's svg terminal printed fit for a page: no prolog, no namespaces, no size but a viewBox, ids that begin
/// with the plot's name.
std::string page_svg(const std::string& svg, const Plot& plot);
/// Runs gnuplot; nothing where it is not installed. Throws Error(internal) with its message when it fails.
std::optional<std::string> draw(const Plot& plot);

}  // namespace expunge
