// Charts as inline SVG, styled by the page's classes; every mark has a title to hover over.
#pragma once
#include <string>
#include <utility>
#include <vector>

namespace likely {

struct Curve {
  std::string name;  // for the legend
  std::vector<std::pair<double, double>> points;
  bool dots = false;  // marks the points: few, measured ones
};

// A horizontal line with its name written on it.
struct Level {
  std::string name;
  double y;
};

// At most two curves. The first 2 % of the values may be cut off at the top: a loss falls from far
// above all that is of interest.
std::string line_chart(const std::vector<Curve>& curves, const std::vector<Level>& levels,
                       const std::string& x_name, const std::string& y_name);

struct Bar {
  std::string name;
  double value;
  bool stressed = false;
};
// Horizontal bars from 0, their values written at their ends; `levels` cross them all.
std::string bar_chart(const std::vector<Bar>& bars, const std::vector<Level>& levels,
                      const std::string& unit);

std::string escaped(const std::string& text);  // for HTML

// The curve averaged over at most `most` runs of neighbours.
std::vector<std::pair<double, double>> thinned(const std::vector<std::pair<double, double>>& points,
                                               std::size_t most);

}  // namespace likely
