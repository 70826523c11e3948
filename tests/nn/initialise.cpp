#include "nn/initialise.h"

#include <doctest/doctest.h>

#include "tests/nn/networks.h"

using namespace likely;

namespace {

std::vector<double> drawn(const Initialiser& from, const Shape& shape, std::uint64_t seed = 1) {
  StepState state;
  state.seed = seed;
  Tensor value = Tensor::empty(shape, DType::f64);
  from(value, {make_step_state(state), purpose_hash("tests/initialise"), 0});
  return doubles(value);
}

struct Moments {
  double mean = 0, variance = 0, low = 1e30, high = -1e30, fourth = 0;
};

Moments moments(const std::vector<double>& x) {
  Moments m;
  const auto n = static_cast<double>(x.size());
  for (const double v : x) {
    m.mean += v / n;
    m.low = std::min(m.low, v);
    m.high = std::max(m.high, v);
  }
  for (const double v : x) {
    m.variance += std::pow(v - m.mean, 2) / n;
    m.fourth += std::pow(v - m.mean, 4) / n;
  }
  return m;
}

// Mean, variance and kurtosis within 4 standard errors of N(mean, deviation²).
void check_normal(const std::vector<double>& x, double mean, double deviation) {
  const Moments m = moments(x);
  const auto n = static_cast<double>(x.size());
  CHECK(std::abs(m.mean - mean) < 4 * deviation / std::sqrt(n));
  CHECK(std::abs(m.variance / (deviation * deviation) - 1) < 4 * std::sqrt(2 / n));
  CHECK(std::abs(m.fourth / (m.variance * m.variance) - 3) < 4 * std::sqrt(24 / n));
}

// Bounded by ± bound, which is nearly reached; the variance is bound² / 3 within 4 standard errors.
void check_uniform(const std::vector<double>& x, double bound) {
  const Moments m = moments(x);
  const auto n = static_cast<double>(x.size());
  CHECK(m.low >= -bound);
  CHECK(m.high <= bound);
  CHECK(m.low < -0.99 * bound);
  CHECK(m.high > 0.99 * bound);
  CHECK(std::abs(m.mean) < 4 * bound / std::sqrt(3 * n));
  CHECK(std::abs(m.variance * 3 / (bound * bound) - 1) < 4 * std::sqrt(0.8 / n));
}

// The largest entry of |Q Qᵀ / gain² - 1| for vectors of a matrix [rows, columns].
double worst_product(const std::vector<double>& q, std::int64_t rows, std::int64_t columns,
                     bool of_rows, double gain) {
  const std::int64_t count = of_rows ? rows : columns, length = of_rows ? columns : rows;
  const auto at = [&](std::int64_t i, std::int64_t k) {
    return q[static_cast<std::size_t>(of_rows ? i * columns + k : k * columns + i)];
  };
  double worst = 0;
  for (std::int64_t i = 0; i < count; ++i)
    for (std::int64_t j = 0; j <= i; ++j) {
      double sum = 0;
      for (std::int64_t k = 0; k < length; ++k)
        sum += at(i, k) * at(j, k);
      worst = std::max(worst, std::abs(sum / (gain * gain) - (i == j)));
    }
  return worst;
}

}  // namespace

TEST_CASE("initialise: bounds and moments are those of the papers") {
  const Shape weight{100, 3, 5, 20};  // [out, height, width, in]: fan_in 300, fan_out 1500
  check_uniform(drawn(glorot_uniform(), weight), std::sqrt(6.0 / 1800));
  check_normal(drawn(glorot_normal(), weight), 0, std::sqrt(2.0 / 1800));
  check_uniform(drawn(he_uniform(), weight), std::sqrt(6.0 / 300));
  check_normal(drawn(he_normal(), weight), 0, std::sqrt(2.0 / 300));
  check_normal(drawn(normal(0.02, 1), weight), 1, 0.02);
  CHECK(drawn(constant(1.5), {3}) == std::vector<double>(3, 1.5));
  CHECK(drawn(zeros(), {3}) == std::vector<double>(3, 0));
}

TEST_CASE("initialise: orthogonal weights are orthonormal times the gain") {
  CHECK(worst_product(drawn(orthogonal(), {20, 50}), 20, 50, true, 1) < 1e-14);
  CHECK(worst_product(drawn(orthogonal(1.5), {50, 20}), 50, 20, false, 1.5) < 1e-14);
  CHECK(worst_product(drawn(orthogonal(2), {6, 3, 4}), 6, 12, true, 2) < 1e-14);
  // A square matrix is the worst conditioned: one round of Gram–Schmidt is off by 5e-14 here.
  const std::vector<double> square = drawn(orthogonal(), {200, 200});
  CHECK(worst_product(square, 200, 200, true, 1) < 1e-14);
  CHECK(worst_product(square, 200, 200, false, 1) < 5e-15);
}

TEST_CASE("initialise: orthogonal matrices point nowhere in particular") {
  // Uniform over the orthogonal group, every entry of a 2 × 2 matrix has mean 0 and variance ½, and
  // half of the determinants are 1.
  const int draws = 1000;
  double mean = 0, variance = 0;
  int positive = 0;
  for (int i = 0; i < draws; ++i) {
    const std::vector<double> q = drawn(orthogonal(), {2, 2}, static_cast<std::uint64_t>(i));
    mean += q[0] / draws;
    variance += q[0] * q[0] / draws;
    positive += q[0] * q[3] - q[1] * q[2] > 0;
  }
  CHECK(std::abs(mean) < 4 * std::sqrt(0.5 / draws));
  CHECK(std::abs(variance - 0.5) < 4 * std::sqrt(0.125 / draws));
  CHECK(std::abs(positive - draws / 2) < 4 * std::sqrt(draws / 4.0));
}

TEST_CASE("initialise: a type changes the rounding and not the draw") {
  const Draw draw{make_step_state({}), purpose_hash("tests/initialise"), 0};
  for (const Initialiser& from : {glorot_uniform(), he_normal(), orthogonal()}) {
    Tensor single = Tensor::empty({8, 9}), twice = Tensor::empty({8, 9}, DType::f64);
    from(single, draw);
    from(twice, draw);
    CHECK(doubles(single) == doubles(kernels::cast(twice, DType::f32)));
  }
}

TEST_CASE("initialise: a vector has no fans") {
  CHECK_THROWS_WITH_AS(drawn(glorot_uniform(), {5}),
                       "glorot_uniform: [5] has no fans: a weight has two axes or more. Use zeros, "
                       "constant or normal.",
                       Error);
}

TEST_CASE("linear: activation(x wᵀ + b) by plain loops") {
  Linear layer(3, 2, Activation::tanh);
  layer.initialise(4);
  kernels::copy_into(layer.bias.value(), tensor({2}, {0.5, -1}));
  const std::vector<double> w = doubles(layer.weight.value()), b = doubles(layer.bias.value());
  const Tensor x = normals("linear", {4, 3});
  const std::vector<double> inputs = doubles(x), y = doubles(layer(Variable(x)).value());
  for (std::size_t row = 0; row < 4; ++row)
    for (std::size_t out = 0; out < 2; ++out) {
      double sum = b[out];
      for (std::size_t in = 0; in < 3; ++in)
        sum += inputs[row * 3 + in] * w[out * 3 + in];
      CHECK(y[row * 2 + out] == doctest::Approx(std::tanh(sum)).epsilon(1e-6));
    }
}
