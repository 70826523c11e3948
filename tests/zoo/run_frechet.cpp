// The Fréchet distance against closed forms, precision and recall against plain loops.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>

#include "kernels/random.h"
#include "zoo/run/frechet.h"

using namespace likely;

namespace {

// mean ± s_i e_i for each i: mean and covariance, diagonal 2 s_i² / (2d − 1), are exact.
Tensor cross(const std::vector<float>& mean, const std::vector<float>& s) {
  const std::size_t d = mean.size();
  std::vector<float> values;
  for (std::size_t i = 0; i < d; ++i)
    for (const float sign : {-1.0f, 1.0f})
      for (std::size_t j = 0; j < d; ++j)
        values.push_back(mean[j] + (i == j ? sign * s[i] : 0));
  return Tensor::of(Shape{static_cast<std::int64_t>(2 * d), static_cast<std::int64_t>(d)}, values);
}

Tensor turned(const Tensor& points, double angle) {  // [n, 2]
  std::vector<float> values = points.to_vector<float>();
  for (std::size_t i = 0; i < values.size(); i += 2) {
    const double x = values[i], y = values[i + 1];
    values[i] = static_cast<float>(std::cos(angle) * x - std::sin(angle) * y);
    values[i + 1] = static_cast<float>(std::sin(angle) * x + std::cos(angle) * y);
  }
  return Tensor::of(points.shape(), values);
}

Tensor normals(std::int64_t n, std::int64_t d, std::uint64_t seed) {
  return kernels::normal({n, d}, {make_step_state({.seed = seed}), purpose_hash("test/normal")});
}

// The share of a's rows within the distance to the third neighbour of some row of b.
double share_by_hand(const Tensor& a, const Tensor& b) {
  const std::int64_t d = a.size(1);
  const auto distance = [&](const Tensor& p, std::int64_t i, const Tensor& q, std::int64_t j) {
    double sum = 0;
    for (std::int64_t k = 0; k < d; ++k)
      sum += std::pow(double{p.data<float>()[i * d + k]} - q.data<float>()[j * d + k], 2);
    return sum;
  };
  std::vector<double> radius;
  for (std::int64_t i = 0; i < b.size(0); ++i) {
    std::vector<double> row;
    for (std::int64_t j = 0; j < b.size(0); ++j)
      if (i != j)
        row.push_back(distance(b, i, b, j));
    std::sort(row.begin(), row.end());
    radius.push_back(row[2]);
  }
  double inside = 0;
  for (std::int64_t i = 0; i < a.size(0); ++i) {
    bool found = false;
    for (std::int64_t j = 0; j < b.size(0) && !found; ++j)
      found = distance(a, i, b, j) <= radius[j];
    inside += found;
  }
  return inside / static_cast<double>(a.size(0));
}

}  // namespace

TEST_CASE("frechet: of diagonal covariances it is |Δmean|² + Σ (σ_a − σ_b)²") {
  const Tensor a = cross({1, -2, 0.5f}, {1, 3, 0.25f}), b = cross({0, 2, 0.5f}, {2, 1, 0});
  const double scale = 2.0 / 5;
  CHECK(frechet_distance(a, b) ==
        doctest::Approx(1 + 16 + scale * (1 + 4 + 0.0625)).epsilon(1e-10));
  CHECK(frechet_distance(b, a) == doctest::Approx(frechet_distance(a, b)).epsilon(1e-10));
  CHECK(frechet_distance(a, a) < 1e-10);
}

TEST_CASE("frechet: covariances that do not commute, against the closed form in the plane") {
  const Tensor a = cross({0, 0}, {1, 3}), b = turned(cross({0, 0}, {2, 0.5f}), 0.7);
  // tr √M = √(tr M + 2 √det M) for 2 × 2; M = Σ_a Σ_b.
  const double scale = 2.0 / 3, c = std::cos(0.7), s = std::sin(0.7);
  const double b_xx = scale * (4 * c * c + 0.25 * s * s), b_yy = scale * (4 * s * s + 0.25 * c * c);
  const double trace = scale * (1 * b_xx + 9 * b_yy);
  const double determinant = std::pow(scale, 4) * (1 * 9) * (4 * 0.25);
  const double expected =
      scale * (1 + 9 + 4 + 0.25) - 2 * std::sqrt(trace + 2 * std::sqrt(determinant));
  CHECK(frechet_distance(a, b) == doctest::Approx(expected).epsilon(1e-6));
  CHECK(frechet_distance(turned(a, 1.1), turned(b, 1.1)) ==
        doctest::Approx(expected).epsilon(1e-6));
}

TEST_CASE("frechet: more dimensions than rows still have a distance") {
  const Tensor a = normals(6, 10, 1), b = normals(8, 10, 2);
  CHECK(frechet_distance(a, a) < 1e-6);
  CHECK(frechet_distance(a, b) == doctest::Approx(frechet_distance(b, a)).epsilon(1e-6));
}

TEST_CASE("precision and recall: as counted by hand") {
  const Tensor real = normals(120, 3, 1), samples = normals(150, 3, 2);
  const PrecisionRecall found = precision_recall(real, samples);
  CHECK(found.precision == doctest::Approx(share_by_hand(samples, real)));
  CHECK(found.recall == doctest::Approx(share_by_hand(real, samples)));
  CHECK(found.precision > 0.5);
}

TEST_CASE("precision and recall: a collapsed sampler is precise and recalls little") {
  const Tensor real = normals(1200, 2, 1);
  std::vector<float> values;
  for (int i = 0; i < 60; ++i)
    values.insert(values.end(), {0.001f * static_cast<float>(i), 0});
  const PrecisionRecall found = precision_recall(real, Tensor::of(Shape{60, 2}, values));
  CHECK(found.precision == 1);
  CHECK(found.recall < 0.02);
}

TEST_CASE("features: sets that cannot be compared are refused") {
  CHECK_THROWS_WITH_AS(frechet_distance(normals(4, 2, 1), normals(4, 3, 1)),
                       "features: [4, 2] and [4, 3] cannot be compared: f32 [n, d] both, with at "
                       "least 2 rows.",
                       Error);
  CHECK_THROWS_AS(precision_recall(normals(3, 2, 1), normals(9, 2, 1)), Error);
}
