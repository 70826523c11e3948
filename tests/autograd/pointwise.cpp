// Pointwise operations and activations at the end of layers, by closed forms.
#include <doctest/doctest.h>

#include <functional>

#include "autograd/ops.h"
#include "kernels/copy.h"
#include "tests/autograd/leaf.h"
#include "tests/device.h"
#include "tests/kernels/tools.h"

using namespace likely;

namespace {

std::vector<double> values(const Variable& x) { return kernels::to_doubles(x.value()); }

Variable rough_leaf(const Shape& shape, std::uint32_t seed) {
  return Variable::leaf(kernels::rough(shape, DType::f64, seed));
}

// An activation's value and slope at x, by definition.
struct Point {
  double value, slope;
};
Point at(Activation activation, double slope, double x) {
  const double s = 1 / (1 + std::exp(-x));
  if (activation == Activation::silu)
    return {x * s, s * (1 + x * (1 - s))};
  return x > 0 ? Point{x, 1} : Point{slope * x, slope};
}

struct Ending {
  Activation activation;
  double slope;
};
const std::vector<Ending> endings{{Activation::leaky_relu, -0.5},
                                  {Activation::leaky_relu, -2},
                                  {Activation::leaky_relu, 0},
                                  {Activation::leaky_relu, 0.1},
                                  {Activation::silu, 0}};

using Layer = std::function<Variable(const Variables&, Activation, double)>;

// A layer that ends in an activation against the same without one: values, and gradients with
// recording off and on.
void compare_endings(const Variables& inputs, const Layer& layer) {
  const TwiceDifferentiable twice;
  for (const auto& [activation, slope] : endings) {
    const Variable before = layer(inputs, Activation::none, 0);
    const Variable y = layer(inputs, activation, slope), g = rough_leaf(y.shape(), 99);
    const std::vector<double> z = values(before), found = values(y);
    std::vector<double> h = values(g);
    for (std::size_t i = 0; i < z.size(); ++i) {
      const Point point = at(activation, slope, z[i]);
      CHECK(found[i] == doctest::Approx(point.value).epsilon(1e-13));
      h[i] *= point.slope;
    }
    const Variables expected = gradients(before, inputs, leaf(y.shape(), h));
    for (const Recorded recorded : {Recorded::no, Recorded::yes}) {
      const Variables d = gradients(y, inputs, g, recorded);
      for (std::size_t i = 0; i < inputs.size(); ++i)
        CHECK(kernels::largest_error(values(d[i]), values(expected[i])) < 1e-12);
    }
  }
}

}  // namespace

TEST_CASE("leaky_relu: with a slope below 0 its gradient is that of the argument's side") {
  for (const DType dtype : {DType::f32, DType::f64}) {
    const Variable x = leaf({3}, {-2, -1, 1}, dtype);
    const Variable once = gradients(sum(leaky_relu(x, -0.5)), {x})[0],
                   recorded = gradients(sum(leaky_relu(x, -0.5)), {x}, {}, Recorded::yes)[0];
    CHECK(values(once) == std::vector<double>{-0.5, -0.5, 1});
    CHECK(values(recorded) == std::vector<double>{-0.5, -0.5, 1});
    CHECK_FALSE(gradients(sum(recorded), {x})[0].defined());
  }
  CHECK_THROWS_WITH_AS(
      activation_slope(leaf({1}, {1}), leaf({1}, {1}), Activation::leaky_relu, -0.5),
      "activation_slope: the slope of silu, and of leaky_relu with a slope below 0, does not "
      "follow from the value. Apply leaky_relu to what the layer gives.",
      Error);
}

TEST_CASE("layers: an activation at the end has its own gradient, whatever it and its slope") {
  const Variable bias = rough_leaf({3}, 3);
  const Layer of_rows = [](const Variables& v, Activation a, double s) {
    return linear(v[0], v[1], v[2], a, s);
  };
  compare_endings({rough_leaf({4, 5}, 1), rough_leaf({3, 5}, 2), bias}, of_rows);
  compare_endings({rough_leaf({5}, 1), rough_leaf({3, 5}, 2), bias}, of_rows);
  compare_endings({rough_leaf({2, 4, 4, 2}, 1), rough_leaf({3, 3, 3, 2}, 2), bias},
                  [](const Variables& v, Activation a, double s) {
                    return convolution(v[0], v[1], v[2], {.padding = 1}, a, s);
                  });
  compare_endings({rough_leaf({2, 3, 3, 2}, 1), rough_leaf({2, 2, 2, 3}, 2), bias},
                  [](const Variables& v, Activation a, double s) {
                    return transposed_convolution(v[0], v[1], v[2], {.stride = 2}, 0, a, s);
                  });
}

TEST_CASE("norms: an activation at the end has its own gradient, whatever it and its slope") {
  const auto how = [](Activation a, double s) { return kernels::Normalise{1e-5, a, s}; };
  const Variables inputs{rough_leaf({3, 5, 6}, 1), rough_leaf({6}, 2), rough_leaf({6}, 3)};
  compare_endings(inputs, [&](const Variables& v, Activation a, double s) {
    return batch_norm(v[0], v[1], v[2], how(a, s)).y;
  });
  compare_endings(inputs, [&](const Variables& v, Activation a, double s) {
    return instance_norm(v[0], v[1], v[2], how(a, s));
  });
  compare_endings(inputs, [&](const Variables& v, Activation a, double s) {
    return group_norm(v[0], v[1], v[2], 3, how(a, s));
  });
  compare_endings(inputs, [&](const Variables& v, Activation a, double s) {
    return layer_norm(v[0], v[1], v[2], how(a, s));
  });
  const kernels::Moments given{rough_leaf({6}, 8).value(),
                               (square(rough_leaf({6}, 9)) + 0.5).value()};
  compare_endings(inputs, [&](const Variables& v, Activation a, double s) {
    return batch_norm_by(v[0], given, v[1], v[2], how(a, s));
  });
}

TEST_CASE("linear: a vector is a row without its axis") {
  const Variable x = rough_leaf({5}, 1), w = rough_leaf({3, 5}, 2), b = rough_leaf({3}, 3);
  const Variable y = linear(x, w, b, Activation::tanh);
  CHECK(y.shape() == Shape{3});
  CHECK(values(y) == values(linear(reshape(x, {1, 5}), w, b, Activation::tanh)));
  CHECK(linear(x, w, none).shape() == Shape{3});
}

TEST_CASE("x / number: divides, rounded once") {
  CHECK(values(leaf({2}, {49, -98}) / 49.0) == std::vector<double>{1, -2});
  CHECK(values(leaf({1}, {0}) / 1e-310) == std::vector<double>{0});
  CHECK(values(leaf({1}, {0}, DType::f32) / 1e-39) == std::vector<double>{0});
  for (const int divisor : {3, 7, 10, 41, 49, 100, 1000}) {
    std::vector<double> x, expected;
    for (int i = -200; i < 200; ++i) {
      x.push_back(i * divisor);
      expected.push_back(i);
    }
    for (const DType dtype : {DType::f32, DType::f64})
      CHECK(values(leaf({400}, x, dtype) / static_cast<double>(divisor)) == expected);
  }
  const Variable x = leaf({2}, {3, 5});
  CHECK(values(gradients(x / 49.0, {x}, leaf({2}, {49, 98}))[0]) == std::vector<double>{1, 2});
}

TEST_CASE("means: of 49 equal numbers, and their gradients, are exact") {
  const Variable x = rough_leaf({7, 7}, 1), image = leaf({1, 7, 7, 1}, std::vector<double>(49, 1));
  CHECK(values(gradients(mean(x), {x}, leaf({}, {49}))[0]) == std::vector<double>(49, 1.0));
  const Variable pooled = average_pool(image, {7, 7});
  CHECK(values(pooled) == std::vector<double>{1});
  CHECK(values(gradients(pooled, {image}, leaf({1, 1, 1, 1}, {49}))[0]) ==
        std::vector<double>(49, 1.0));
}

TEST_CASE("kl: near 0 it is not rounding in f32, on any device") {
  const Variable zero = leaf({3}, {0, 0, 0}, DType::f32);
  const Variable lv = leaf({3}, {-1e-4, 1e-4, 1e-6}, DType::f32);
  for (const Variable& kl : {standard_normal_kl(zero, lv), normal_kl(zero, lv, zero, zero)}) {
    CHECK(values(kl)[0] == doctest::Approx(2.499917e-9).epsilon(1e-5));
    CHECK(values(kl)[1] == doctest::Approx(2.500083e-9).epsilon(1e-5));
    CHECK(values(kl)[2] == doctest::Approx(2.5e-13).epsilon(1e-5));
    const std::vector<double> slope = values(gradients(sum(kl), {lv})[0]);
    CHECK(slope[0] == doctest::Approx(0.5 * std::expm1(-1e-4)).epsilon(1e-6));
    CHECK(slope[2] == doctest::Approx(5e-7).epsilon(1e-5));
  }
}

TEST_CASE("dropout: in f64 it divides by the probability as a double") {
  const double keep = 0.7;
  const Variable x = leaf({64}, std::vector<double>(64, 1.0));
  for (const double y : values(dropout(x, keep, {kernels::step_state({}), 1})))
    CHECK((y == 0 || y == 1 / keep));
}
