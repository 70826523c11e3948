#include "zoo/run/chart.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace likely {
namespace {

constexpr double width = 720, left = 56, right = 12, top = 26, height = 300, bottom = 40;

struct Interval {
  double low = 0, high = 1;
  double share(double value) const { return (value - low) / (high - low); }
};

// Steps of 1, 2 or 5 times a power of ten, about `count` of them.
std::vector<double> ticks(const Interval& range, int count) {
  const double raw = (range.high - range.low) / count;
  const double power = std::pow(10, std::floor(std::log10(raw)));
  const double step = power * (raw / power < 1.5   ? 1
                               : raw / power < 3.5 ? 2
                               : raw / power < 7.5 ? 5
                                                   : 10);
  std::vector<double> values;
  for (double value = std::ceil(range.low / step) * step; value <= range.high + 1e-9 * step;
       value += step)
    values.push_back(std::abs(value) < 1e-9 * step ? 0 : value);
  return values;
}

Interval x_range(const std::vector<Curve>& curves) {
  Interval range{0, 1};
  for (const Curve& curve : curves)
    for (const auto& [x, y] : curve.points)
      range.high = std::max(range.high, x);
  return range;
}

Interval y_range(const std::vector<Curve>& curves, const std::vector<Level>& levels) {
  std::vector<double> values;
  for (const Curve& curve : curves)
    for (const auto& [x, y] : curve.points)
      values.push_back(y);
  if (values.empty())
    return {};
  std::sort(values.begin(), values.end());
  Interval range{values.front(), values[static_cast<std::size_t>(0.98 * (values.size() - 1.0))]};
  for (const Level& level : levels)
    if (level.y < range.low && range.low - level.y < 3 * (range.high - range.low) + 1)
      range.low = level.y;
  const double margin = std::max(0.06 * (range.high - range.low), 1e-6);
  return {range.low - margin, range.high + margin};
}

std::string tick_label(double value) { return fmt::format("{:.6g}", value); }

std::string legend(const std::vector<Curve>& curves) {
  std::string svg;
  double x = left;
  for (std::size_t i = 0; i < curves.size(); ++i) {
    svg += fmt::format(
        "<rect class='mark{}' x='{:.0f}' y='6' width='14' height='4' rx='2'/>"
        "<text class='label' x='{:.0f}' y='12'>{}</text>",
        i + 1, x, x + 20, escaped(curves[i].name));
    x += 36 + 7.2 * static_cast<double>(curves[i].name.size());
  }
  return svg;
}

}  // namespace

std::string line_chart(const std::vector<Curve>& curves, const std::vector<Level>& levels,
                       const std::string& x_name, const std::string& y_name) {
  const Interval xs = x_range(curves), ys = y_range(curves, levels);
  const auto x_at = [&](double x) { return left + xs.share(x) * (width - left - right); };
  const auto y_at = [&](double y) {
    return height - bottom - ys.share(y) * (height - bottom - top);
  };
  std::string svg = fmt::format(
      "<svg viewBox='0 0 {0} {1}' role='img'><clipPath id='plot'><rect x='{2}' y='{3}' width='{4}' "
      "height='{5}'/></clipPath>",
      width, height, left, top, width - left - right, height - bottom - top);
  for (const double y : ticks(ys, 5))
    svg += fmt::format(
        "<path class='grid' d='M{} {:.1f}H{}'/><text class='tick' x='{}' y='{:.1f}' "
        "text-anchor='end'>{}</text>",
        left, y_at(y), width - right, left - 6, y_at(y) + 4, tick_label(y));
  for (const double x : ticks(xs, 6))
    svg += fmt::format("<text class='tick' x='{:.1f}' y='{}' text-anchor='middle'>{}</text>",
                       x_at(x), height - bottom + 16, tick_label(x));
  svg += fmt::format("<path class='axis' d='M{} {}H{}'/>", left, height - bottom, width - right);
  for (const Level& level : levels)
    if (level.y >= ys.low && level.y <= ys.high)
      svg += fmt::format(
          "<path class='level' d='M{} {:.1f}H{}'><title>{}: {}</title></path>"
          "<text class='label' x='{}' y='{:.1f}' text-anchor='end'>{}</text>",
          left, y_at(level.y), width - right, escaped(level.name), tick_label(level.y),
          width - right, y_at(level.y) - 4, escaped(level.name));
  for (std::size_t i = 0; i < curves.size(); ++i) {
    std::string path;
    for (const auto& [x, y] : curves[i].points)
      path += fmt::format("{}{:.1f} {:.1f}", path.empty() ? "M" : "L", x_at(x), y_at(y));
    svg += fmt::format("<path class='curve line{}' clip-path='url(#plot)' d='{}'/>", i + 1, path);
    if (curves[i].dots)
      for (const auto& [x, y] : curves[i].points)
        if (y <= ys.high)
          svg += fmt::format(
              "<circle class='mark{}' cx='{:.1f}' cy='{:.1f}' r='4'><title>{}, {} {}: "
              "{}</title></circle>",
              i + 1, x_at(x), y_at(y), escaped(curves[i].name), x_name, tick_label(x),
              tick_label(y));
  }
  svg += legend(curves);
  svg += fmt::format(
      "<text class='label' x='{}' y='{}' text-anchor='end'>{}</text>"
      "<text class='label' x='12' y='{}' transform='rotate(-90 12 {})' "
      "text-anchor='middle'>{}</text></svg>",
      width - right, height - 6, escaped(x_name), (height - bottom + top) / 2,
      (height - bottom + top) / 2, escaped(y_name));
  return svg;
}

std::string bar_chart(const std::vector<Bar>& bars, const std::vector<Level>& levels,
                      const std::string& unit) {
  constexpr double names = 190, values = 110, row = 28, bar = 16;
  Interval range{0, 1e-9};
  for (const Bar& b : bars)
    range.high = std::max(range.high, b.value);
  for (const Level& level : levels)
    range.high = std::max(range.high, level.y);
  const auto x_at = [&](double x) { return names + range.share(x) * (width - names - values); };
  const double foot = row * static_cast<double>(bars.size());
  std::string svg =
      fmt::format("<svg viewBox='0 0 {} {}' role='img'>", width, foot + (levels.empty() ? 4 : 22));
  for (std::size_t i = 0; i < bars.size(); ++i) {
    const double y = row * static_cast<double>(i);
    svg += fmt::format(
        "<text class='label' x='{}' y='{}' text-anchor='end'>{}</text><rect class='{}' x='{}' "
        "y='{}' width='{:.1f}' height='{}' rx='2'><title>{}: {} {}</title></rect><text "
        "class='label' x='{:.1f}' y='{}'>{:.2f}</text>",
        names - 8, y + bar, escaped(bars[i].name), bars[i].stressed ? "mark1" : "bar", names, y + 4,
        std::max(1.0, x_at(bars[i].value) - names), bar, escaped(bars[i].name), bars[i].value,
        escaped(unit), x_at(bars[i].value) + 6, y + bar, bars[i].value);
  }
  for (const Level& level : levels)
    svg += fmt::format(
        "<path class='level' d='M{0:.1f} 0V{1}'/><text class='label' x='{0:.1f}' "
        "y='{2}' text-anchor='middle'>{3} {4:.2f}</text>",
        x_at(level.y), foot + 2, foot + 16, escaped(level.name), level.y);
  return svg + "</svg>";
}

std::string escaped(const std::string& text) {
  std::string result;
  for (const char c : text) {
    if (c == '&')
      result += "&amp;";
    else if (c == '<')
      result += "&lt;";
    else if (c == '>')
      result += "&gt;";
    else if (c == '\'')
      result += "&#39;";
    else if (c == '"')
      result += "&quot;";
    else
      result += c;
  }
  return result;
}

std::vector<std::pair<double, double>> thinned(const std::vector<std::pair<double, double>>& points,
                                               std::size_t most) {
  if (points.size() <= most)
    return points;
  std::vector<std::pair<double, double>> result;
  for (std::size_t i = 0; i < most; ++i) {
    const std::size_t begin = i * points.size() / most, end = (i + 1) * points.size() / most;
    std::pair<double, double> mean{0, 0};
    for (std::size_t j = begin; j < end; ++j) {
      mean.first += points[j].first / static_cast<double>(end - begin);
      mean.second += points[j].second / static_cast<double>(end - begin);
    }
    result.push_back(mean);
  }
  return result;
}

}  // namespace likely
