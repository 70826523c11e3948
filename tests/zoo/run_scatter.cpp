// The picture of points: where they stand in it, and that a run draws it.
#include <doctest/doctest.h>

#include "tests/zoo/tiny_run.h"
#include "zoo/run/scatter.h"

using namespace likely;

namespace {

// How far from white the pixel at a point of the plane is, and how much bluer than red.
struct Seen {
  int dark, blue;
};
Seen seen(const Tensor& picture, double x, double y, double reach) {
  const auto column = static_cast<std::int64_t>((x / reach + 1) / 2 * scatter_side);
  const auto row = static_cast<std::int64_t>((1 - y / reach) / 2 * scatter_side);
  const std::uint8_t* p = picture.data<std::uint8_t>() + (row * scatter_side + column) * 3;
  return {255 - p[0], p[2] - p[0]};
}

}  // namespace

TEST_CASE("scatter: points are blue where they stand, modes are circles of 4 sd") {
  const PointMixture mixture({{1, 1}, {-1, -1}}, 0.125);
  const double reach = 1.25 + 0.5;
  const Tensor points = Tensor::of(Shape{3, 2}, std::vector<float>{0.5f, -1, 100, 0, NAN, 0});
  const Tensor picture = scatter(points, mixture);
  CHECK(picture.shape() == Shape{1, scatter_side, scatter_side, 3});
  CHECK(seen(picture, 0.5, -1, reach).blue > 80);
  CHECK(seen(picture, -0.5, 1, reach).dark == 0);
  CHECK(seen(picture, 1, 1, reach).dark == 0);
  CHECK(seen(picture, 1.503, 1, reach).dark > 30);
  CHECK(seen(picture, -1, -1.503, reach).dark > 30);
  CHECK(seen(picture, 0, 0, reach).dark == 0);
}

TEST_CASE("scatter: a run on points draws them, and has no reconstructions") {
  const TemporaryFolder folder;
  REQUIRE(run(folder / "run", {{"data", "rings"}, {"steps", "3"}}) == 0);
  CHECK(std::filesystem::file_size(folder / "run/samples/samples-000003.png") > 1000);
  CHECK_FALSE(std::filesystem::exists(folder / "run/samples/reconstructions-000003.png"));
}
