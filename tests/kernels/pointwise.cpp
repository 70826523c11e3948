// Every formula's value and first and second derivatives against the C library in double and
// differences of it; layouts against an element-by-element walk.
#include "kernels/pointwise.h"

#include <doctest/doctest.h>

#include <cmath>
#include <functional>
#include <limits>
#include <set>

#include "kernels/cpu/isa.h"
#include "kernels/cpu/isa/pointwise.h"
#include "kernels/parallel.h"
#include "tests/kernels/tools.h"

using namespace likely;
using namespace likely::kernels;

namespace {

using Exact = std::function<double(const double* x)>;

struct Example {
  FormulaCall formula;
  Exact exact;
  double low = -3, high = 3;  // of the arguments
};

double softplus_of(double x) { return std::log1p(std::exp(x)); }
double sigmoid_of(double x) { return 1 / (1 + std::exp(-x)); }
double normal_kl_of(double m, double lv, double m2, double lv2) {
  return (std::exp(lv) + (m - m2) * (m - m2)) / (2 * std::exp(lv2)) - 0.5 + (lv2 - lv) / 2;
}

template <class F>
Example example(const F& formula, Exact exact, double low = -3, double high = 3) {
  static const F kept = formula;
  return {call(kept), std::move(exact), low, high};
}

// Kinks lie outside the arguments: they have a test of their own.
const std::vector<Example>& examples() {
  using P = const double*;
  static const std::vector<Example> all{
      example(Add{}, [](P x) { return x[0] + x[1]; }),
      example(Subtract{}, [](P x) { return x[0] - x[1]; }),
      example(Multiply{}, [](P x) { return x[0] * x[1]; }),
      example(
          Divide{}, [](P x) { return x[0] / x[1]; }, 0.5, 3),
      example(Negate{}, [](P x) { return -x[0]; }),
      example(Scale{-1.7}, [](P x) { return -1.7 * x[0]; }),
      example(Shift{0.3}, [](P x) { return x[0] + 0.3; }),
      example(Square{}, [](P x) { return x[0] * x[0]; }),
      example(
          Reciprocal{}, [](P x) { return 1 / x[0]; }, -3, -0.5),
      example(
          Sqrt{}, [](P x) { return std::sqrt(x[0]); }, 0.5, 3),
      example(
          Abs{}, [](P x) { return std::abs(x[0]); }, -3, -0.5),
      example(
          Clamp{-1, 2}, [](P x) { return std::clamp(x[0], -1.0, 2.0); }, 1.5, 1.9),
      example(Exp{}, [](P x) { return std::exp(x[0]); }),
      example(
          Log{}, [](P x) { return std::log(x[0]); }, 0.5, 3),
      example(Erf{}, [](P x) { return std::erf(x[0]); }),
      example(Softplus{}, [](P x) { return softplus_of(x[0]); }),
      example(Tanh{}, [](P x) { return std::tanh(x[0]); }),
      example(Sigmoid{}, [](P x) { return sigmoid_of(x[0]); }),
      example(
          Relu{}, [](P x) { return std::max(x[0], 0.0); }, 0.5, 3),
      example(
          LeakyRelu{0.2}, [](P x) { return std::max(x[0], 0.2 * x[0]); }, -3, -0.5),
      example(Silu{}, [](P x) { return x[0] * sigmoid_of(x[0]); }),
      example(Gelu{}, [](P x) { return x[0] / 2 * std::erfc(-x[0] / std::sqrt(2.0)); }),
      example(GatedTanh{}, [](P x) { return std::tanh(x[0]) * sigmoid_of(x[1]); }),
      example(TanhFromOutput{}, [](P x) { return x[0] * (1 - x[1] * x[1]); }),
      example(SigmoidFromOutput{}, [](P x) { return x[0] * x[1] * (1 - x[1]); }),
      example(
          ReluFromOutput{}, [](P x) { return x[1] > 0 ? x[0] : 0; }, 0.5, 3),
      example(
          LeakyReluFromOutput{0.2}, [](P x) { return x[1] > 0 ? x[0] : 0.2 * x[0]; }, -3, -0.5),
      example(BernoulliLogProb{},
              [](P x) {
                return x[0] * std::log(sigmoid_of(x[1])) + (1 - x[0]) * std::log(sigmoid_of(-x[1]));
              }),
      example(NormalLogProb{},
              [](P x) {
                const double variance = std::exp(x[2]), z = x[0] - x[1];
                return -z * z / (2 * variance) - std::log(std::sqrt(2 * M_PI * variance));
              }),
      example(StandardNormalKl{}, [](P x) { return normal_kl_of(x[0], x[1], 0, 0); }),
      example(NormalKl{}, [](P x) { return normal_kl_of(x[0], x[1], x[2], x[3]); }),
      example(Reparameterise{}, [](P x) { return x[0] + std::sqrt(std::exp(x[1])) * x[2]; }),
  };
  return all;
}

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
    x.push_back(Tensor::of({7, 5}, values));
  }
  return x;
}

// x with the element `at` of input i moved by h.
Tensors moved(const Tensors& x, int i, double h) {
  Tensors result = x;
  std::vector<double> values = to_doubles(x[i]);
  for (double& value : values)
    value += h;
  result[i] = Tensor::of(x[i].shape(), values);
  return result;
}

void check_close(const FormulaCall& formula, const Tensor& y, const std::vector<double>& expected,
                 double tolerance) {
  const std::vector<double> values = to_doubles(y);
  REQUIRE(values.size() == expected.size());
  double worst = 0;
  for (std::size_t j = 0; j < values.size(); ++j)
    worst = std::max(worst, std::abs(values[j] - expected[j]) / (1 + std::abs(expected[j])));
  INFO(formula.name);
  CHECK(worst < tolerance);
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
  std::vector<double> result(static_cast<std::size_t>(x[0].numel()));
  for (std::size_t j = 0; j < result.size(); ++j) {
    double at[max_inputs];
    for (int i = 0; i < example.formula.inputs; ++i)
      at[i] = x[i].data<double>()[j];
    result[j] = example.exact(at);
  }
  return result;
}

// Σ_i h_i g ∂_i f from the first-order kernel.
std::vector<double> contracted(const FormulaCall& f, const Tensors& x, const Tensor& g,
                               const Tensors& h) {
  const Tensors slopes = pointwise_gradients(f, x, g, (1u << f.inputs) - 1);
  std::vector<double> sum(static_cast<std::size_t>(g.numel()));
  for (int i = 0; i < f.inputs; ++i)
    for (std::size_t j = 0; h[i].defined() && j < sum.size(); ++j)
      sum[j] += h[i].data<double>()[j] * slopes[i].data<double>()[j];
  return sum;
}

std::vector<std::uint32_t> bits_of_all(const Tensor& x) {
  const auto* words = reinterpret_cast<const std::uint32_t*>(x.data<float>());
  return {words, words + x.numel()};
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
    const Tensors slopes = pointwise_gradients(example.formula, x, g, (1u << inputs) - 1);
    for (int i = 0; i < inputs; ++i) {
      std::vector<double> expected =
          difference([&](const Tensors& at) { return exact_values(example, at); }, x, i);
      for (std::size_t j = 0; j < expected.size(); ++j)
        expected[j] *= g.data<double>()[j];
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
      check_close(f, second[f.inputs], contracted(f, x, full({7, 5}, 1, DType::f64), h), 1e-14);

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
    return pointwise_gradients(f, {Tensor::of({count}, x)}, full({count}, 1), 1)[0]
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
    const Tensors x(example.formula.inputs, full({3}, nan));
    CHECK(std::isnan(pointwise(example.formula, x).to_vector<float>()[1]));
  }
  const Tensor a = Tensor::scalar(infinity), b = Tensor::scalar(2.f), g = Tensor::scalar(3.f);
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

TEST_CASE("pointwise: strided, stretched and reversed inputs against an element-by-element walk") {
  const Tensor base = rough({6, 9, 40}), other = rough({40, 9, 6}, DType::f32, 7);
  const Tensor row = rough({40}, DType::f32, 8), column = rough({9, 1}, DType::f32, 9);
  const Tensor wide = rough({6, 18, 80}, DType::f32, 10);
  const Tensors layouts{base,
                        other.permute({2, 1, 0}),
                        row,
                        column,
                        Tensor::scalar(0.4f),
                        rough({6, 1, 40}, DType::f32, 11),
                        rough({6, 1, 1}, DType::f32, 12),
                        wide.slice(1, 1, 18, 2).slice(2, 3, 43),
                        wide.slice(1, 0, 9).slice(2, 0, 80, 2),
                        base.view({6, 9, 40}, {360, -40, 1}, 320),
                        base.view({6, 9, 40}, {360, 40, -1}, 39)};
  const Shape shape{6, 9, 40};
  for (const DType dtype : {DType::f32, DType::bf16, DType::f64})
    for (const Tensor& first : layouts)
      for (const Tensor& second : layouts) {
        // Types convert without losing the layout only where nothing converts.
        const Tensor a = dtype == DType::f32 ? first : cast(first, dtype);
        const Tensor b = dtype == DType::f32 ? second : cast(second, dtype);
        const Shape result = broadcast("test", a.shape(), b.shape());
        const auto x = to_doubles(a.expand(result)), y = to_doubles(b.expand(result));
        std::vector<double> difference(x.size());
        for (std::size_t j = 0; j < x.size(); ++j)
          difference[j] = x[j] - y[j];
        const Tensor z = pointwise(call(Subtract{}), {a, b});
        CHECK(z.shape() == result);
        check_close(call(Subtract{}), z, difference, dtype == DType::bf16 ? 0x1p-7 : 1e-6);
        const Tensor g = cast(rough(result, DType::f64, 13), dtype);
        const auto weights = to_doubles(g);
        for (std::size_t j = 0; j < x.size(); ++j)
          difference[j] = weights[j] * y[j];
        const Tensors slopes = pointwise_gradients(call(Multiply{}), {a, b}, g, 1);
        check_close(call(Multiply{}), slopes[0], difference, dtype == DType::bf16 ? 0x1p-7 : 1e-6);
        CHECK(!slopes[1].defined());
      }
}

TEST_CASE("pointwise: bf16 views are read where they lie") {
  const Tensor x = rough({33, 70}, DType::bf16);
  for (const Tensor& view : {x.transpose(), x.slice(1, 1, 70, 3), x.slice(0, 2, 3).expand({9, 70})})
    CHECK(to_doubles(pointwise(call(Negate{}), {view})) ==
          to_doubles(pointwise(call(Negate{}), {contiguous(view)})));
}

TEST_CASE("pointwise: a gradient may be stretched, and only wanted results are made") {
  const Tensor x = rough({300, 70}), y = rough({70}, DType::f32, 2);
  const Tensor g = Tensor::scalar(0.5f).expand({300, 70});
  const Tensors all = pointwise_gradients(call(Divide{}), {x, y}, g, 3);
  for (unsigned wanted = 0; wanted < 4; ++wanted) {
    const Tensors some = pointwise_gradients(call(Divide{}), {x, y}, g, wanted);
    REQUIRE(some.size() == 2);
    for (int i = 0; i < 2; ++i) {
      CHECK(some[i].defined() == (wanted >> i & 1));
      if (some[i].defined())
        CHECK(bits_of_all(some[i]) == bits_of_all(all[i]));
    }
  }
}

TEST_CASE("pointwise: no elements give no elements") {
  const Tensor x = Tensor::empty({3, 0, 2}), y = rough({2});
  CHECK(pointwise(call(Add{}), {x, y}).shape() == Shape{3, 0, 2});
  CHECK(pointwise_gradients(call(Add{}), {x, y}, x, 3)[1].shape() == Shape{3, 0, 2});
  CHECK(pointwise_second(call(Add{}), {x, y}, x, {x, Tensor{}}, 7)[2].shape() == Shape{3, 0, 2});
}

TEST_CASE("pointwise: meta allocates and logs what the device would, and computes nothing") {
  const Device meta{Device::meta};
  const Tensor x = Tensor::empty({4, 5}, DType::f32, meta);
  const Tensor y = Tensor::empty({5}, DType::f32, meta);
  const LaunchLog log;
  const Tensors slopes = pointwise_gradients(call(Multiply{}), {x, y}, x, 2);
  CHECK(slopes[1].is_meta());
  CHECK(slopes[1].shape() == Shape{4, 5});
  REQUIRE(log.launches().size() == 1);
  CHECK(std::string(log.launches()[0].kernel) == "multiply");
  CHECK(log.launches()[0].bytes == 4 * (20 + 5 + 20 + 20));
}

TEST_CASE("pointwise: instruction sets give the same bits") {
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
  const auto same = [](const Tensor& a, const Tensor& b) {
    int different = 0;
    for (std::int64_t j = 0; j < n; ++j) {
      const float p = a.data<float>()[j], q = b.data<float>()[j];
      different += bits_of(p) != bits_of(q) && !(std::isnan(p) && std::isnan(q));
    }
    return different == 0;
  };
  for (const Example& example : examples()) {
    const FormulaCall& f = example.formula;
    INFO(f.name);
    Tensors results[2];
    for (int level = 0; level < 2; ++level) {
      const auto& loops = (level ? isa_v4::pointwise_f32 : isa_v3::pointwise_f32)[f.index];
      float* out[max_inputs];
      for (int i = 0; i <= max_inputs; ++i) {
        results[level].push_back(Tensor::empty({n}));
        if (i < max_inputs)
          out[i] = results[level][i].data<float>();
      }
      loops.gradients(f.formula, in, g, out, n);
      loops.value(f.formula, in, results[level][max_inputs].data<float>(), n);
    }
    for (int i = 0; i < f.inputs; ++i)
      CHECK(same(results[0][i], results[1][i]));
    CHECK(same(results[0][max_inputs], results[1][max_inputs]));
  }
}

TEST_CASE("pointwise: threads, layout and what else is wanted change no bit") {
  const Tensor x = rough({700, 301}), y = rough({700, 301}, DType::f32, 2);
  const Tensor g = rough({700, 301}, DType::f32, 3);
  const auto run = [&](const Tensor& a, const Tensor& b, unsigned wanted) {
    const Tensors slopes = pointwise_gradients(call(GatedTanh{}), {a, b}, g, wanted);
    return std::pair(bits_of_all(pointwise(call(GatedTanh{}), {a, b})), bits_of_all(slopes[0]));
  };
  set_threads(1);
  const auto one = run(x, y, 3);
  const auto strided = run(contiguous(x.transpose()).transpose(), y, 1);
  set_threads(2);
  CHECK(run(x, y, 3) == one);
  CHECK(strided == one);
}

TEST_CASE("pointwise: messages") {
  const Tensor x = rough({2, 3}), wide = rough({2, 3}, DType::f64);
  const Tensor whole = Tensor::of<std::int64_t>({2}, {1, 2});
  CHECK(message([&] { pointwise(call(Add{}), {x}); }) == "add: takes 2 tensors: it got 1.");
  CHECK(message([&] { pointwise(call(Tanh{}), {Tensor{}}); }) == "tanh: an input is undefined.");
  CHECK(message([&] {
          pointwise(call(Add{}), {x, wide});
        }) == "add: types differ: f32 and f64. Use cast() first.");
  CHECK(message([&] { pointwise(call(Exp{}), {whole}); }) ==
        "exp: computes on floating-point numbers: it got i64. Use cast() first.");
  CHECK(message([&] {
          pointwise(call(Add{}), {x, rough({2})});
        }) ==
        "add: shapes do not broadcast: [2, 3] and [2]. Counted from the right, extents must be "
        "equal or 1.");
  CHECK(message([&] {
          pointwise(call(Add{}), {x, Tensor::empty({3}, DType::f32, {Device::meta})});
        }) == "add: tensors of two devices: cpu and meta. Use to() first.");
  CHECK(message([&] {
          pointwise_gradients(call(Tanh{}), {x}, rough({4, 2, 3}), 1);
        }) == "tanh: the gradient is [4, 2, 3] where the result is [2, 3].");
  CHECK(message([&] { pointwise_gradients(call(Tanh{}), {x}, x, 2); }) ==
        "tanh: bits 0b10 ask for more than 1 results.");
  CHECK(message([&] {
          pointwise_second(call(Add{}), {x, x}, x, {x}, 1);
        }) == "add: 1 directions for 2 inputs.");
  CHECK(message([&] { pointwise_second(call(Exp{}), {x}, x, {wide}, 1); }) ==
        "exp: types differ: f32 and f64. Use cast() first.");
}
