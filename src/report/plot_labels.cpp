// Places labels beside their points, one after another, each at the first free side.
#include "report/plot_labels.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <optional>

namespace expunge {
namespace {

using Side = Curve::Label::Side;

// Sizes as shares of the plot's width and height: a letter, a line of text, the mark of a point, the distance from a point to
// the middle of a label above or below it, and to the edge of a label beside it. An axis may be 1.4 times as long as its data.
constexpr double kLetter = 0.026, kLine = 0.065, kMarkWidth = 0.026, kMarkHeight = 0.036, kAbove = 0.072, kBeside = 0.022;
constexpr double kAxis = 1.4;

struct Box {
  double left, right, bottom, top;
  bool covers(const Box& other) const {
    return left < other.right && other.left < right && bottom < other.top && other.bottom < top;
  }
};

struct Point {
  double x, y;  ///< shares of the plot
};

/// A label that is shown, for its own point and `joined` others.
struct Name {
  std::size_t point;
  int joined = 0;
};

std::vector<Point> shares(const Curve& curve) {
  const auto [low, high] = std::ranges::minmax(curve.y);
  const double width = kAxis * std::ranges::max(curve.x), height = kAxis * (high - low);
  std::vector<Point> points;
  for (std::size_t i = 0; i < curve.x.size(); ++i)
    points.push_back({width > 0 ? curve.x[i] / width : 0, height > 0 ? (curve.y[i] - low) / height : 0});
  return points;
}

Box mark(const Point& p) { return {p.x - kMarkWidth / 2, p.x + kMarkWidth / 2, p.y - kMarkHeight / 2, p.y + kMarkHeight / 2}; }

Box box(const Point& p, Side side, std::size_t letters) {
  const double width = kLetter * static_cast<double>(letters);
  double rise = 0, left = p.x - width / 2;
  if (side == Side::above) rise = kAbove;
  if (side == Side::below) rise = -kAbove;
  if (side == Side::right) left = p.x + kBeside;
  if (side == Side::left) left = p.x - kBeside - width;
  return {left, left + width, p.y + rise - kLine / 2, p.y + rise + kLine / 2};
}

std::string text_of(const Curve& curve, const Name& name) {
  const std::string& own = curve.labels[name.point].text;
  return name.joined > 0 ? fmt::format("{} +{}", own, name.joined) : own;
}

/// Places all labels; returns the index of the first one that has no free side, or nothing.
std::optional<std::size_t> place(Curve& curve, const std::vector<Point>& points, const std::vector<Name>& names) {
  std::vector<Box> taken;
  for (const Point& point : points) taken.push_back(mark(point));
  for (std::size_t n = 0; n < names.size(); ++n) {
    const std::size_t letters = text_of(curve, names[n]).size();
    const auto free = [&](Side side) {
      const Box here = box(points[names[n].point], side, letters);
      return std::ranges::none_of(taken, [&](const Box& other) { return here.covers(other); });
    };
    constexpr std::array kOrder = {Side::above, Side::right, Side::left, Side::below};
    const auto side = std::ranges::find_if(kOrder, free);
    if (side == kOrder.end()) return n;
    curve.labels[names[n].point].side = *side;
    taken.push_back(box(points[names[n].point], *side, letters));
  }
  return std::nullopt;
}

/// The label whose point is nearest to that of another label.
std::size_t nearest(const std::vector<Point>& points, const std::vector<Name>& names, std::size_t other) {
  const auto distance = [&](const Name& name) {
    if (name.point == names[other].point) return std::numeric_limits<double>::infinity();
    const Point &a = points[name.point], &b = points[names[other].point];
    return std::hypot(a.x - b.x, a.y - b.y);
  };
  return static_cast<std::size_t>(std::ranges::min_element(names, {}, distance) - names.begin());
}

}  // namespace

void place_labels(Curve& curve) {
  if (curve.x.empty()) return;
  const std::vector<Point> points = shares(curve);
  std::vector<Name> names;
  for (std::size_t i = 0; i < points.size(); ++i) names.push_back({i});
  while (names.size() > 1) {
    const std::optional<std::size_t> crowded = place(curve, points, names);
    if (!crowded) break;
    names[nearest(points, names, *crowded)].joined += 1 + names[*crowded].joined;
    names.erase(names.begin() + static_cast<std::ptrdiff_t>(*crowded));
  }
  std::vector<std::string> texts(points.size());
  for (const Name& name : names) texts[name.point] = text_of(curve, name);
  for (std::size_t i = 0; i < points.size(); ++i) curve.labels[i].text = texts[i];
}

}  // namespace expunge
