#include "zoo/run/scatter.h"

#include <algorithm>
#include <cmath>

namespace likely {
namespace {

struct Colour {
  double rgb[3];
};
constexpr Colour ink{{42, 120, 214}}, line{{190, 189, 180}};

class Canvas {
 public:
  // `reach`: from the middle of the picture to its edges, in the units of the points.
  explicit Canvas(double reach)
      : pixels_(Tensor::of({1, scatter_side, scatter_side, 3},
                           std::vector<std::uint8_t>(scatter_side * scatter_side * 3, 255))),
        scale_(scatter_side / (2 * reach)) {}

  double pixels_a_unit() const { return scale_; }
  const Tensor& pixels() const { return pixels_; }

  // Everything within `outer` pixels of the point and not within `inner`, its edges softened over
  // a pixel.
  void ring(const Point& at, double inner, double outer, const Colour& colour, double opacity) {
    const double x = scatter_side / 2.0 + at[0] * scale_, y = scatter_side / 2.0 - at[1] * scale_;
    if (!(std::abs(x) < 2 * scatter_side && std::abs(y) < 2 * scatter_side))
      return;  // far outside, or not a number
    const auto first = [&](double v) {
      return std::max<std::int64_t>(0, std::lround(v - outer) - 1);
    };
    const auto last = [&](double v) {
      return std::min<std::int64_t>(scatter_side - 1, std::lround(v + outer) + 1);
    };
    for (std::int64_t row = first(y); row <= last(y); ++row)
      for (std::int64_t column = first(x); column <= last(x); ++column) {
        const double distance =
            std::hypot(static_cast<double>(column) + 0.5 - x, static_cast<double>(row) + 0.5 - y);
        const double cover = std::clamp(outer + 0.5 - distance, 0.0, 1.0) *
                             std::clamp(distance - inner + 0.5, 0.0, 1.0);
        blend(row, column, colour, opacity * cover);
      }
  }

 private:
  void blend(std::int64_t row, std::int64_t column, const Colour& colour, double opacity) {
    std::uint8_t* const pixel = pixels_.data<std::uint8_t>() + (row * scatter_side + column) * 3;
    for (int c = 0; c < 3; ++c)
      pixel[c] =
          static_cast<std::uint8_t>(std::lround(pixel[c] + opacity * (colour.rgb[c] - pixel[c])));
  }

  Tensor pixels_;
  double scale_;
};

}  // namespace

Tensor scatter(const Tensor& points, const PointMixture& mixture) {
  double reach = 0;
  for (const Point& centre : mixture.centres())
    reach = std::max({reach, std::abs(centre[0]), std::abs(centre[1])});
  Canvas canvas(1.25 * reach + 4 * mixture.sd());
  const double radius = 4 * mixture.sd() * canvas.pixels_a_unit();
  for (const Point& centre : mixture.centres())
    canvas.ring(centre, radius, radius + 1.5, line, 1);
  for (const Point& point : points_of(points))
    canvas.ring(point, 0, 1.2, ink, 0.6);
  return canvas.pixels();
}

}  // namespace likely
