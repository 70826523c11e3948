// The elementary functions in f32 against the C library's in double, over the range of all floats.
#include "kernels/math.h"

#include <doctest/doctest.h>

#include <cmath>
#include <cstdlib>
#include <functional>

#include "kernels/pointwise.h"
#include "tests/device.h"
#include "tests/kernels/tools.h"

using namespace likely;
using namespace likely::kernels;

namespace {

// Every 1009th bit pattern (fewer under a sanitizer), and what lies beside the formulas' edges.
std::vector<float> arguments() {
  std::vector<float> x;
  const std::uint64_t step = std::getenv("LIKELY_TEST_SMALL") ? 20011 : 1009;
  for (std::uint64_t bits = 0; bits < (std::uint64_t{1} << 32); bits += step)
    x.push_back(std::bit_cast<float>(static_cast<std::uint32_t>(bits)));
  for (const float edge :
       {0.f,   0x1p-149f, 0x1p-126f, 0x1.fffffep127f, infinity, 1.f,       88.722839f,
        89.f,  103.97f,   104.f,     9.02f,           10.f,     0.5f,      0.6f,
        0.95f, 3.92f,     4.f,       2.f / 3,         4.f / 3,  0.693147f, 87.336544f})
    for (const float sign : {1.f, -1.f})
      for (const float at : {edge, std::nextafter(edge, 0.f), std::nextafter(edge, infinity)})
        x.push_back(sign * at);
  return x;
}

// |y - exact| in units of the last place of a float at `exact`.
double ulps(float y, double exact) {
  const auto nearest = static_cast<float>(exact);
  if (std::isnan(exact) || std::isnan(y))
    return std::isnan(exact) && std::isnan(y) ? 0 : infinity;
  if (std::isinf(nearest) || nearest == 0)
    if (y == nearest)
      return std::signbit(y) == std::signbit(nearest) ? 0 : infinity;
  int exponent;
  std::frexp(exact, &exponent);
  const double unit = std::ldexp(1.0, std::max(exponent - 24, -149));
  const double reached = std::isinf(y) ? std::copysign(0x1p128, y) : y;
  return std::abs(reached - exact) / unit;
}

double worst(const FormulaCall& formula, const std::function<double(double)>& exact) {
  static const std::vector<float> x = arguments();
  const auto count = static_cast<std::int64_t>(x.size());
  const auto y = pointwise(formula, {tensor({count}, x)}).to_vector<float>();
  double largest = 0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    const double error = ulps(y[i], exact(x[i]));
    if (!(error <= 2))
      MESSAGE(formula.name, " of ", x[i], " is ", y[i]);
    largest = std::max(largest, error);
  }
  return largest;
}

}  // namespace

TEST_CASE("math: f32 functions err by at most 2 units in the last place, whatever the argument") {
  CHECK(worst(call(Exp{}), [](double x) { return std::exp(x); }) <= 1.1);
  CHECK(worst(call(Log{}), [](double x) { return std::log(x); }) <= 1.1);
  CHECK(worst(call(Sqrt{}), [](double x) { return std::sqrt(x); }) <= 0.5);
  CHECK(worst(call(Tanh{}), [](double x) { return std::tanh(x); }) <= 2);
  CHECK(worst(call(Sigmoid{}), [](double x) {
          return x < 0 ? std::exp(x) / (1 + std::exp(x)) : 1 / (1 + std::exp(-x));
        }) <= 2);
  CHECK(worst(call(Softplus{}), [](double x) {
          return x > 0 ? x + std::log1p(std::exp(-x)) : std::log1p(std::exp(x));
        }) <= 2);
  CHECK(worst(call(Erf{}), [](double x) { return std::erf(x); }) <= 1.3);
}

TEST_CASE("math: e^x - 1 and e^x less its tangent do not cancel near 0") {
  double worst_expm1 = 0, worst_above = 0, worst_expm1_f64 = 0, worst_above_f64 = 0;
  for (std::uint32_t bits = 1; bits < 0x3eb17218u; bits += 9973)  // up to ½ ln 2
    for (const std::uint32_t sign : {0u, 0x80000000u}) {
      const auto x = std::bit_cast<float>(bits | sign);
      long double above = 0;  // Σ x^n / n!, n ≥ 2, the small ones first
      for (int n = 20; n > 1; --n)
        above = (above + 1) * x / n;
      above *= x;
      worst_expm1 = std::max(worst_expm1, ulps(kernels::expm1(x), std::expm1(double{x})));
      worst_above = std::max(worst_above, ulps(exp_above_tangent(x), static_cast<double>(above)));
      const auto relative = [](double y, long double exact) {
        return std::abs(exact) < 1e-290L ? 0 : static_cast<double>(std::abs(y / exact - 1));
      };
      worst_expm1_f64 =
          std::max(worst_expm1_f64,
                   relative(kernels::expm1(double{x}), std::expm1(static_cast<long double>(x))));
      worst_above_f64 = std::max(worst_above_f64, relative(exp_above_tangent(double{x}), above));
    }
  CHECK(worst_expm1 <= 2);
  CHECK(worst_above <= 3);
  CHECK(worst_expm1_f64 < 4e-16);
  CHECK(worst_above_f64 < 5e-16);
}

TEST_CASE("math: sine and cosine of turns") {
  double worst_sine = 0, worst_cosine = 0;
  for (std::uint32_t bits = 1; bits < 0x49800000u; bits += 9973)  // up to 2^20
    for (const std::uint32_t sign : {0u, 0x80000000u}) {
      const auto t = std::bit_cast<float>(bits | sign);
      const double quarter = std::round(4.0 * t), angle = 2 * M_PI * (t - quarter / 4);
      const double sine[] = {std::sin(angle), std::cos(angle), -std::sin(angle), -std::cos(angle)};
      const auto turn = static_cast<std::int64_t>(quarter);
      const SinCos both = sin_cos_turns(t);
      worst_sine = std::max(worst_sine, ulps(both.sin, sine[turn & 3]));
      worst_cosine = std::max(worst_cosine, ulps(both.cos, sine[(turn + 1) & 3]));
    }
  CHECK(worst_sine <= 2);
  CHECK(worst_cosine <= 2);
}

TEST_CASE("math: one bit pattern a value, in scalar code as in vectors") {
  std::vector<float> x;
  for (std::uint64_t bits = 0; bits < (std::uint64_t{1} << 32); bits += 1000003)
    x.push_back(std::bit_cast<float>(static_cast<std::uint32_t>(bits)));
  const auto y = pointwise(call(Tanh{}), {tensor({static_cast<std::int64_t>(x.size())}, x)})
                     .to_vector<float>();
  int different = 0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    const float scalar = kernels::tanh(x[i]);
    different += !std::isnan(scalar) && bits_of(scalar) != bits_of(y[i]);
  }
  CHECK(different == 0);
}
