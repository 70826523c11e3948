// Every formula's value and first and second derivatives against the C library in double and
// differences of it.
#include <doctest/doctest.h>

#include <limits>
#include <set>

#include "kernels/cpu/isa.h"
#include "kernels/cpu/isa/pointwise.h"
#include "kernels/pointwise.h"
#include "tests/device.h"
#include "tests/kernels/pointwise_examples.h"
#include "tests/kernels/tools.h"

using namespace likely;
using namespace likely::kernels;

namespace {

template <class... F>
constexpr int length(List<F...>) {
  return sizeof...(F);
}

// f64 tensors of shape [7, 5], uniform between two bounds.
Tensors uniform_inputs(int count, double low, double high, std::uint32_t seed) {
  Tensors x;
  for (int i = 0; i < count; ++i) {
    std::vector<double> values = to_doubles(rough({7, 5}, DType::f64, seed + i));
    for (double& value : values)
      value = low + (value + 0.7) / 2 * (high - low);
    x.push_back(tensor({7, 5}, values));
  }
  return x;
}

// x with the element `at` of input i moved by h.
Tensors moved(const Tensors& x, int i, double h) {
  Tensors result = x;
  std::vector<double> values = to_doubles(x[i]);
  for (double& value : values)
    value += h;
  result[i] = tensor(x[i].shape(), values);
  return result;
}

void check_close(const FormulaCall& formula, const Tensor& y, const std::vector<double>& expected,
                 double tolerance) {
  INFO(formula.name);
  CHECK(largest_error(to_doubles(y), expected) < tolerance);
}

// Central differences, error O(h²), of a map from inputs to one number an element.
std::vector<double> difference(const std::function<std::vector<double>(const Tensors&)>& f,
                               const Tensors& x, int i) {
  const double h = 1e-5;
  std::vector<double> above = f(moved(x, i, h));
  const std::vector<double> below = f(moved(x, i, -h));
  for (std::size_t j = 0; j < above.size(); ++j)
    above[j] = (above[j] - below[j]) / (2 * h);
  return above;
}

std::vector<double> exact_values(const Example& example, const Tensors& x) {
  std::vector<std::vector<double>> inputs;
  for (const Tensor& input : x)
    inputs.push_back(to_doubles(input));
  std::vector<double> result(static_cast<std::size_t>(x[0].numel()));
  for (std::size_t j = 0; j < result.size(); ++j) {
    double at[max_inputs];
    for (int i = 0; i < example.formula.inputs; ++i)
      at[i] = inputs[i][j];
    result[j] = example.exact(at);
  }
  return result;
}

// Σ_i h_i g ∂_i f from the first-order kernel.
std::vector<double> contracted(const FormulaCall& f, const Tensors& x, const Tensor& g,
                               const Tensors& h) {
  const Tensors slopes = pointwise_gradients(f, x, g, (1u << f.inputs) - 1);
  std::vector<double> sum(static_cast<std::size_t>(g.numel()));
  for (int i = 0; i < f.inputs; ++i) {
    if (!h[i].defined())
      continue;
    const std::vector<double> direction = to_doubles(h[i]), slope = to_doubles(slopes[i]);
    for (std::size_t j = 0; j < sum.size(); ++j)
      sum[j] += direction[j] * slope[j];
  }
  return sum;
}
// Of f32; one NaN is as good as another.
bool same_bits(const Tensor& a, const Tensor& b) {
  const std::vector<float> x = a.to_vector<float>(), y = b.to_vector<float>();
  return std::equal(x.begin(), x.end(), y.begin(), y.end(), [](float p, float q) {
    return bits_of(p) == bits_of(q) || (std::isnan(p) && std::isnan(q));
  });
}

}  // namespace

TEST_CASE("pointwise: there is an example of every formula") {
  std::set<int> seen;
  std::set<std::string> names;
  for (const Example& example : examples()) {
    seen.insert(example.formula.index);
    names.insert(example.formula.name);
  }
  CHECK(static_cast<int>(seen.size()) == length(Formulas{}));
  CHECK(names.size() == seen.size());
}

TEST_CASE("pointwise: values are the C library's, in f64, f32 and bf16") {
  for (const Example& example : examples()) {
    const Tensors x = uniform_inputs(example.formula.inputs, example.low, example.high, 3);
    check_close(example.formula, pointwise(example.formula, x), exact_values(example, x), 1e-14);
    for (const auto& [dtype, tolerance] : {std::pair(DType::f32, 1e-6), {DType::bf16, 0x1p-8}}) {
      Tensors narrow, rounded;
      for (const Tensor& input : x) {
        narrow.push_back(cast(input, dtype));
        rounded.push_back(cast(narrow.back(), DType::f64));
      }
      const Tensor y = pointwise(example.formula, narrow);
      CHECK(y.dtype() == dtype);
      check_close(example.formula, y, exact_values(example, rounded), tolerance);
    }
  }
}

TEST_CASE("pointwise: gradients are differences of the C library's values") {
  for (const Example& example : examples()) {
    const int inputs = example.formula.inputs;
    const Tensors x = uniform_inputs(inputs, example.low, example.high, 5);
    const Tensor g = rough({7, 5}, DType::f64, 99);
    const std::vector<double> weights = to_doubles(g);
    const Tensors slopes = pointwise_gradients(example.formula, x, g, (1u << inputs) - 1);
    for (int i = 0; i < inputs; ++i) {
      std::vector<double> expected =
          difference([&](const Tensors& at) { return exact_values(example, at); }, x, i);
      for (std::size_t j = 0; j < expected.size(); ++j)
        expected[j] *= weights[j];
      check_close(example.formula, slopes[i], expected, 1e-8);
    }
  }
}

TEST_CASE("pointwise: second order is differences of the gradients, also along one input alone") {
  for (const Example& example : examples()) {
    const FormulaCall& f = example.formula;
    const Tensors x = uniform_inputs(f.inputs, example.low, example.high, 11);
    const Tensor g = rough({7, 5}, DType::f64, 99);
    for (int alone = -1; alone < f.inputs; ++alone) {
      Tensors h(f.inputs);
      for (int i = 0; i < f.inputs; ++i)
        if (alone < 0 || alone == i)
          h[i] = rough({7, 5}, DType::f64, 50 + i);
      const Tensors second = pointwise_second(f, x, g, h, (2u << f.inputs) - 1);
      REQUIRE(static_cast<int>(second.size()) == f.inputs + 1);
      for (int i = 0; i < f.inputs; ++i)
        check_close(f, second[i],
                    difference([&](const Tensors& at) { return contracted(f, at, g, h); }, x, i),
                    1e-8);
      check_close(f, second[f.inputs], contracted(f, x, filled({7, 5}, 1, DType::f64), h), 1e-14);

      Tensors x32, h32(f.inputs);
      for (int i = 0; i < f.inputs; ++i) {
        x32.push_back(cast(x[i], DType::f32));
        if (h[i].defined())
          h32[i] = cast(h[i], DType::f32);
      }
      const Tensors in_f32 =
          pointwise_second(f, x32, cast(g, DType::f32), h32, (2u << f.inputs) - 1);
      for (int i = 0; i <= f.inputs; ++i)
        check_close(f, in_f32[i], to_doubles(second[i]), 2e-5);
    }
  }
}

TEST_CASE("pointwise: the stated slopes on kinks") {
  const auto slopes = [](const FormulaCall& f, std::vector<float> x) {
    const auto count = static_cast<std::int64_t>(x.size());
    return pointwise_gradients(f, {tensor({count}, x)}, filled({count}, 1), 1)[0]
        .to_vector<float>();
  };
  CHECK(slopes(call(Relu{}), {-1, -0.f, 0, 1}) == std::vector<float>{0, 0, 0, 1});
  CHECK(slopes(call(LeakyRelu{0.25}), {-1, -0.f, 0, 1}) ==
        std::vector<float>{0.25f, 0.25f, 0.25f, 1});
  CHECK(slopes(call(Abs{}), {-1, -0.f, 0, 1}) == std::vector<float>{-1, 0, 0, 1});
  CHECK(slopes(call(Clamp{-1, 2}), {-1.5f, -1, 0, 2, 2.5f}) == std::vector<float>{0, 1, 1, 1, 0});
}

TEST_CASE("pointwise: NaN passes, and what an output does not depend on stays zero beside ∞") {
  const float infinity = std::numeric_limits<float>::infinity();
  const float nan = std::numeric_limits<float>::quiet_NaN();
  for (const Example& example : examples()) {
    INFO(example.formula.name);
    const Tensors x(example.formula.inputs, filled({3}, nan));
    CHECK(std::isnan(pointwise(example.formula, x).to_vector<float>()[1]));
  }
  const Tensor a = scalar(infinity), b = scalar(2.f), g = scalar(3.f);
  const Tensors product = pointwise_gradients(call(Multiply{}), {a, b}, g, 3);
  CHECK(product[0].item<float>() == 6);
  CHECK(product[1].item<float>() == infinity);
  CHECK(pointwise_gradients(call(Scale{2}), {a}, g, 1)[0].item<float>() == 6);
  CHECK(pointwise_gradients(call(Clamp{0, 1}), {a}, g, 1)[0].item<float>() == 0);
  CHECK(pointwise(call(Softplus{}), {a}).item<float>() == infinity);
  CHECK(pointwise_gradients(call(Softplus{}), {a}, g, 1)[0].item<float>() == 3);
  const Tensors linear = pointwise_second(call(Add{}), {a, b}, a, {a, b}, 7);
  CHECK(linear[0].item<float>() == 0);
  CHECK(linear[1].item<float>() == 0);
}

TEST_CASE("pointwise: instruction sets give the same bits" * cpu_only) {
  if (!cpu_has(Isa::v4))
    return;
  constexpr std::int64_t n = 4099;
  const float specials[] = {0.f,    -0.f,  1e-42f, -1e-42f, 100.f, -100.f, 3e38f,
                            -3e38f, 88.5f, -87.5f, 0.5f,    -1.f,  1e-30f, 0x1p-23f};
  Tensors x;
  for (int i = 0; i <= max_inputs; ++i) {
    x.push_back(pointwise(call(Scale{4}), {rough({n}, DType::f32, 20 + i)}));
    for (int j = 0; 3 * j < n; ++j)
      x[i].data<float>()[3 * j] = specials[(j / (i == 0 ? 1 : 14 * i)) % 14];
  }
  const float* in[max_inputs];
  for (int i = 0; i < max_inputs; ++i)
    in[i] = x[i].data<float>();
  const float* g = x[max_inputs].data<float>();
  for (const Example& example : examples()) {
    const FormulaCall& f = example.formula;
    INFO(f.name);
    Tensors results[2];
    for (int level = 0; level < 2; ++level) {
      const auto& loops = (level ? isa_v4::pointwise_f32 : isa_v3::pointwise_f32)[f.index];
      float* out[max_inputs];
      for (int i = 0; i <= max_inputs; ++i) {
        results[level].push_back(unwritten({n}));
        if (i < max_inputs)
          out[i] = results[level][i].data<float>();
      }
      loops.gradients(f.formula, in, g, out, n);
      loops.value(f.formula, in, results[level][max_inputs].data<float>(), n);
    }
    for (int i = 0; i < f.inputs; ++i)
      CHECK(same_bits(results[0][i], results[1][i]));
    CHECK(same_bits(results[0][max_inputs], results[1][max_inputs]));
  }
}

TEST_CASE("pointwise: f32 values and slopes have the CPU's bits on every device") {
  const std::int64_t n = 1003;
  for (const Example& example : examples()) {
    const FormulaCall& f = example.formula;
    INFO(f.name);
    Tensors x, x_cpu;
    for (int i = 0; i <= f.inputs; ++i) {
      x.push_back(pointwise(call(Scale{4}), {rough({n}, DType::f32, 20 + i)}));
      x_cpu.push_back(x[i].to(Device::cpu));
    }
    const auto results = [&](const Tensors& all) {
      const Tensors inputs(all.begin(), all.end() - 1);
      Tensors made = pointwise_gradients(f, inputs, all.back(), (1u << f.inputs) - 1);
      made.push_back(pointwise(f, inputs));
      return made;
    };
    const Tensors made = results(x), expected = results(x_cpu);
    for (std::size_t i = 0; i < made.size(); ++i)
      CHECK(same_bits(made[i], expected[i]));
  }
}
