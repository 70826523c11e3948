// Points from Gaussian mixtures against their closed forms and plain sums.
#include <doctest/doctest.h>

#include <cmath>
#include <numbers>

#include "tests/zoo/data_files.h"
#include "zoo/data/points.h"

using namespace likely;

TEST_CASE("rings and grid: the entropy of the definition, exact to the last digit of a double") {
  const PointMixture rings = rings_mixture(), grid = grid_mixture();
  CHECK(rings.centres().size() == 8);
  CHECK(grid.centres().size() == 25);
  CHECK(rings.entropy() == doctest::Approx(-3.59957).epsilon(2e-6));
  CHECK(grid.entropy() == doctest::Approx(-2.01385).epsilon(2e-6));
  // Nearest centres are 76.5 and 40 sd apart; overlap takes away less than the two exponentials.
  CHECK(rings.overlap() < 3 * std::exp(-76.5 * 76.5 / 8));
  CHECK(grid.overlap() == doctest::Approx(4 * std::exp(-40.0 * 40 / 8)).epsilon(1e-6));
  CHECK(make_data_set("grid", {})->entropy() == grid.entropy());
}

TEST_CASE("points: overlap bounds what the entropy of the definition is too large by") {
  // Two centres 4 sd apart, integrated over the plane: the mixture is a product of a mixture on the
  // line through the centres and a normal across it.
  const double d = 4;
  const PointMixture near({{0, 0}, {d, 0}}, 1);
  double line = 0;
  const double step = 1e-3;
  for (double x = -10; x < d + 10; x += step) {
    const double p = (std::exp(-x * x / 2) + std::exp(-(x - d) * (x - d) / 2)) /
                     (2 * std::sqrt(2 * std::numbers::pi));
    line -= step * p * std::log(p);
  }
  const double exact = line + 0.5 * std::log(2 * std::numbers::pi * std::numbers::e);
  CHECK(near.entropy() > exact);
  CHECK(near.entropy() - exact < near.overlap());
  CHECK(near.overlap() == doctest::Approx(std::exp(-2.0)));
}

TEST_CASE("points: log p is the mixture's sum") {
  const PointMixture mixture({{0, 0}, {1, 0.5}, {-1, 2}}, 0.7);
  const Tensor points = Tensor::of(Shape{3, 2}, std::vector<float>{0.25f, 0.5f, 3, -1, -1, 2});
  const std::vector<double> log_p = mixture.log_prob(points);
  for (int i = 0; i < 3; ++i) {
    const double x = points.data<float>()[2 * i], y = points.data<float>()[2 * i + 1];
    double p = 0;
    for (const Point& c : mixture.centres())
      p += std::exp(-((x - c[0]) * (x - c[0]) + (y - c[1]) * (y - c[1])) / (2 * 0.49)) /
           (2 * std::numbers::pi * 0.49 * 3);
    CHECK(log_p[i] == doctest::Approx(std::log(p)).epsilon(1e-12));
  }
  const Tensor far = Tensor::of(Shape{1, 2}, std::vector<float>{1e4f, 0});
  CHECK(std::isfinite(mixture.log_prob(far)[0]));
}

TEST_CASE("points: each centre as often as the others, deviations round and normal") {
  const auto data = make_data_set("rings", {});
  const PointMixture& rings = *data->modes();
  constexpr std::int64_t n = 20000;
  const Tensor batch = data->batch(Split::train, rows_up_to(n), draw_of(5, 2));
  std::vector<double> counts(8);
  double sum[2] = {}, square[2] = {}, cross = 0, within_one = 0;
  for (const Point& point : points_of(batch)) {
    const auto nearest = rings.nearest(point);
    ++counts[nearest.centre];
    within_one += nearest.distance < rings.sd();
    double z[2];
    for (int c = 0; c < 2; ++c) {
      z[c] = (point[c] - rings.centres()[nearest.centre][c]) / rings.sd();
      sum[c] += z[c] / n;
      square[c] += z[c] * z[c] / n;
    }
    cross += z[0] * z[1] / n;
  }
  double chi_square = 0;  // 7 degrees of freedom: 24.3 is exceeded once in 1000
  for (const double count : counts)
    chi_square += (count - n / 8.0) * (count - n / 8.0) / (n / 8.0);
  CHECK(chi_square < 24.3);
  const double error = 1 / std::sqrt(double{n});
  for (int c = 0; c < 2; ++c) {
    CHECK(std::abs(sum[c]) < 4 * error);
    CHECK(std::abs(square[c] - 1) < 4 * std::sqrt(2) * error);
  }
  CHECK(std::abs(cross) < 4 * error);
  CHECK(std::abs(within_one / n - (1 - std::exp(-0.5))) < 4 * 0.5 * error);
}

TEST_CASE("points: the mean of -log p is the entropy") {
  const auto data = make_data_set("grid", {});
  double mean = 0;
  for (const double log_p : data->log_prob(data->batch(Split::test, rows_up_to(10000))))
    mean -= log_p / 10000;
  CHECK(std::abs(mean - *data->entropy()) < 4 / std::sqrt(10000.0));  // -log p has variance 1
}

TEST_CASE("points: a point follows from seed, update and row; held-out points are fixed") {
  const auto data = make_data_set("rings", {});
  CHECK(data->image() == Shape{2});
  CHECK(data->levels() == 0);
  const std::vector<std::int64_t> rows = {7, 3, 900}, alone = {3};
  const auto first = data->batch(Split::train, rows, draw_of(5, 9)).to_vector<float>();
  CHECK(first == data->batch(Split::train, rows, draw_of(5, 9)).to_vector<float>());
  CHECK(first != data->batch(Split::train, rows, draw_of(5, 10)).to_vector<float>());
  const auto second = data->batch(Split::train, alone, draw_of(5, 9)).to_vector<float>();
  CHECK(std::equal(second.begin(), second.end(), first.begin() + 2));
  const auto test = data->batch(Split::test, rows).to_vector<float>();
  CHECK(test == data->batch(Split::test, rows, draw_of(4, 4)).to_vector<float>());
  CHECK(test != data->batch(Split::validation, rows).to_vector<float>());
  CHECK(test != make_data_set("rings", {.seed = 18})->batch(Split::test, rows).to_vector<float>());
}

TEST_CASE("points: what has no meaning for them is refused") {
  const auto data = make_data_set("rings", {});
  const std::vector<std::int64_t> first = {0};
  CHECK_THROWS_WITH_AS(data->bytes(Split::test, first),
                       "data: rings holds points, which have no bytes. Take a batch.", Error);
  CHECK_THROWS_WITH_AS(make_data_set("grid", {.binarisation = Binarisation::sampled}),
                       "data: grid has no pixels. Leave out --binarisation sampled.", UsageError);
  CHECK_THROWS_WITH_AS(data->log_prob(Tensor::of(Shape{3}, std::vector<float>(3, 0))),
                       "points: [3] of type f32 are no points: f32 [n, 2].", Error);
}
