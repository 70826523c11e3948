// Products against three loops in f64, and against each other bit for bit.
#include "kernels/matmul.h"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>

#include "kernels/pointwise.h"
#include "tensor/allocator.h"
#include "tests/device.h"
#include "tests/kernels/matmul_problems.h"
#include "tests/kernels/tools.h"
#include "tests/reference/activation.h"
#include "tests/reference/matmul.h"

using namespace likely;
using namespace likely::kernels;

namespace {

std::vector<double> magnitudes(std::vector<double> values) {
  for (double& value : values)
    value = std::fabs(value);
  return values;
}

// The largest error of y, in units of what rounding may do to sums of k terms that are together as
// large as `terms`, and then to the activation.
double excess(const Tensor& y, const std::vector<double>& expected,
              const std::vector<double>& terms, std::int64_t k) {
  const double sum_unit = y.dtype() == DType::f64 ? 0x1p-53 : 0x1p-24;
  const double unit = y.dtype() == DType::bf16 ? 0x1p-8 : sum_unit;
  const std::vector<double> values = to_doubles(y);
  double worst = 0;
  for (std::size_t i = 0; i < values.size(); ++i)
    worst = std::max(
        worst, std::fabs(values[i] - expected[i]) / (sum_unit * static_cast<double>(k) * terms[i] +
                                                     8 * unit * (1 + std::fabs(expected[i]))));
  return worst;
}

}  // namespace

TEST_CASE("matmul: agrees with three loops in f64, whatever shape, layout, type and epilogue") {
  const Layout layouts[] = {Layout::rows, Layout::columns, Layout::strided};
  int turn = 0;
  for (const auto& [m, n, k] : odd_sizes)
    for (const DType dtype : {DType::f32, DType::f64, DType::bf16})
      for (const Layout left : layouts)
        for (const Layout right : layouts) {
          const Tensor a = laid_out(m, k, left, dtype, 1), b = laid_out(k, n, right, dtype, 2);
          const Tensor start = rough({m, n}, dtype, 3), bias = rough({n}, dtype, 4);
          const bool add = turn % 2, biased = turn % 3;
          const auto activation = static_cast<Activation>(turn % 7 % 6);
          const std::vector<double> before =
              add ? to_doubles(start) : std::vector<double>(static_cast<std::size_t>(m * n));
          std::vector<double> expected =
              reference::matmul(to_doubles(a), to_doubles(b), before, m, n, k);
          const std::vector<double> terms = reference::matmul(
              magnitudes(to_doubles(a)), magnitudes(to_doubles(b)), magnitudes(before), m, n, k);
          const std::vector<double> bias_values = to_doubles(bias);
          for (std::size_t i = 0; i < expected.size(); ++i)
            expected[i] = activated(
                activation, 0.25,
                expected[i] + (biased ? bias_values[i % static_cast<std::size_t>(n)] : 0));
          const Epilogue epilogue{biased ? bias : Tensor(), activation, 0.25f};
          const Tensor y = add ? matmul(a, b, epilogue, {start, true}) : matmul(a, b, epilogue);
          CAPTURE(m);
          CAPTURE(n);
          CAPTURE(k);
          CAPTURE(turn);
          CHECK(excess(y, expected, terms, k) < 1);
          ++turn;
        }
}

TEST_CASE("matmul: own f32 and f64 products have the CPU's bits on every device") {
  for (const auto& [m, n, k] : odd_sizes)
    for (const DType dtype : {DType::f32, DType::f64})
      for (const bool add : {false, true}) {
        const Tensor a = laid_out(m, k, Layout::columns, dtype, 1), b = rough({k, n}, dtype, 2);
        const Tensor start = rough({m, n}, dtype, 3), bias = rough({n}, dtype, 4);
        const auto product = [&](Device device) {
          const auto there = [&](const Tensor& x) { return contiguous(x).to(device); };
          const Tensor out = concatenate({there(start)}, 0);
          return to_doubles(
              matmul(there(a), there(b), {there(bias), Activation::leaky_relu}, {out, add}));
        };
        CAPTURE(m);
        CAPTURE(n);
        CAPTURE(k);
        CHECK(product(device_under_test()) == product(Device::cpu));
      }
}

TEST_CASE("matmul: a row computed alone equals the same row in a batch") {
  const Tensor x = rough({37, 300}), w = rough({90, 300}, DType::f32, 2);
  const Tensor bias = rough({90}, DType::f32, 3);
  const Epilogue epilogue{bias, Activation::sigmoid};
  const Tensor batch = matmul(x, w.transpose(), epilogue);
  for (std::int64_t i = 0; i < 37; ++i)
    CHECK(matmul(x.slice(0, i, i + 1), w.transpose(), epilogue).to_vector<float>() ==
          batch.slice(0, i, i + 1).to_vector<float>());
}

TEST_CASE("matmul: gradients of weights over many lines are their sums, the same at every run") {
  const std::int64_t k = 2600;
  for (const DType dtype : {DType::f32, DType::bf16})
    for (const auto& [m, n] : {std::pair<std::int64_t, std::int64_t>{8, 16}, {5, 3}, {70, 24}}) {
      const Tensor g = rough({k, m}, dtype, 1), x = rough({k, n}, dtype, 2);
      const Tensor start = rough({m, n}, dtype, 3);
      const Tensor transposed = contiguous(g.transpose());
      const std::vector<double> before = to_doubles(start);
      const auto given = [&] { return concatenate({start}, 0); };
      const std::vector<double> a = to_doubles(transposed), b = to_doubles(x);
      const std::vector<double> expected = reference::matmul(a, b, before, m, n, k);
      const std::vector<double> terms =
          reference::matmul(magnitudes(a), magnitudes(b), magnitudes(before), m, n, k);
      const Tensor y = matmul(g.transpose(), x, {}, {given(), true});
      CAPTURE(m);
      CHECK(excess(y, expected, terms, k) < 1);
      CHECK(to_doubles(matmul(g.transpose(), x, {}, {given(), true})) == to_doubles(y));
    }
}

TEST_CASE("matmul: two halves of k added one after the other equal the whole, bit for bit") {
  const Tensor a = rough({50, 700}), b = rough({700, 75}, DType::f32, 2);
  const Tensor whole = matmul(a, b);
  Tensor halves = matmul(a.slice(1, 0, 333), b.slice(0, 0, 333));
  matmul(a.slice(1, 333, 700), b.slice(0, 333, 700), {}, {halves, true});
  CHECK(halves.to_vector<float>() == whole.to_vector<float>());
}

TEST_CASE("matmul: bias and activation in the epilogue equal the pointwise kernels, bit for bit") {
  const Tensor x = rough({33, 60}), w = rough({60, 45}, DType::f32, 2);
  const Tensor bias = rough({45}, DType::f32, 3);
  const Tensor sums = pointwise(call(Add{}), {matmul(x, w), bias});
  const auto fused = [&](Activation activation) {
    return matmul(x, w, {bias, activation, 0.2f}).to_vector<float>();
  };
  CHECK(fused(Activation::none) == sums.to_vector<float>());
  CHECK(fused(Activation::relu) == pointwise(call(Relu{}), {sums}).to_vector<float>());
  CHECK(fused(Activation::leaky_relu) ==
        pointwise(call(LeakyRelu{0.2f}), {sums}).to_vector<float>());
  CHECK(fused(Activation::tanh) == pointwise(call(Tanh{}), {sums}).to_vector<float>());
  CHECK(fused(Activation::sigmoid) == pointwise(call(Sigmoid{}), {sums}).to_vector<float>());
}

TEST_CASE("matmul: leading axes broadcast, merged into rows or batch or looped over") {
  const Tensor a = rough({2, 3, 1, 4, 5}), b = rough({3, 7, 5, 6}, DType::f32, 2);
  const Tensor y = matmul(a, b);
  CHECK(y.shape() == Shape{2, 3, 7, 4, 6});
  for (std::int64_t i = 0; i < 2; ++i)
    for (std::int64_t j = 0; j < 3; ++j)
      for (std::int64_t l = 0; l < 7; ++l) {
        const auto matrix = [](Tensor x, std::initializer_list<std::int64_t> index) {
          for (const std::int64_t position : index)
            x = x.slice(0, position, position + 1).squeeze(0);
          return x;
        };
        CHECK(matrix(y, {i, j, l}).to_vector<float>() ==
              matmul(matrix(a, {i, j, 0}), matrix(b, {j, l})).to_vector<float>());
      }
  const Tensor x = rough({4, 3, 5}), w = rough({5, 6}, DType::f32, 3);
  const LaunchLog log;
  CHECK(matmul(x, w).reshape({12, 6}).to_vector<float>() ==
        matmul(x.reshape({12, 5}), w).to_vector<float>());
  CHECK(log.launches().size() == 2);
  CHECK(log.flops() == 2 * 2.0 * 12 * 6 * 5);
}

TEST_CASE("matmul: an `out` with gaps between its rows leaves the gaps alone") {
  Tensor all = filled({20, 50}, 7);
  const Tensor out = all.slice(0, 1, 19).slice(1, 3, 40);  // rows that start nowhere round
  const Tensor a = rough({18, 30}), b = rough({30, 37}, DType::f32, 2);
  const std::uint64_t version = all.version();
  matmul(a, b, {}, {out, false});
  CHECK(on_cpu(out).to_vector<float>() == matmul(a, b).to_vector<float>());
  CHECK(all.version() == version + 1);
  double rest = 0;
  for (const double value : to_doubles(all.slice(1, 0, 3)))
    rest += value;
  for (const double value : to_doubles(all.slice(1, 40, 50)))
    rest += value;
  CHECK(rest == 7 * 20 * 13);
}

TEST_CASE("matmul: no elements, no terms") {
  const Tensor bias = rough({4});
  CHECK(matmul(rough({0, 3}), rough({3, 4})).shape() == Shape{0, 4});
  CHECK(matmul(rough({3, 3}), rough({3, 0})).shape() == Shape{3, 0});
  for (const DType dtype : {DType::f32, DType::f64}) {
    const Tensor none = unwritten({2, 0}, dtype), below = unwritten({0, 4}, dtype);
    CHECK(to_doubles(matmul(none, below)) == std::vector<double>(8, 0.0));
    const Tensor start = rough({2, 4}, dtype);
    const std::vector<double> held = to_doubles(start);
    matmul(none, below, {}, {start, true});
    CHECK(to_doubles(start) == held);
  }
  CHECK(matmul(unwritten({1, 0}), unwritten({0, 4}), {bias}).to_vector<float>() ==
        bias.to_vector<float>());
}

TEST_CASE("matmul: denormals, infinities and NaN go through, and stay in their row and column") {
  const float tiny = std::numeric_limits<float>::denorm_min();
  const float infinity = std::numeric_limits<float>::infinity();
  std::vector<float> values(20 * 40);
  values[0] = tiny;
  values[40] = infinity;
  values[80] = std::nanf("");
  const Tensor a = tensor({20, 40}, values), b = filled({40, 50}, 1);
  const std::vector<float> y = matmul(a, b).to_vector<float>();
  for (int j = 0; j < 50; ++j) {
    CHECK(y[j] == tiny);
    CHECK(y[50 + j] == infinity);
    CHECK(std::isnan(y[100 + j]));
    CHECK(y[150 + j] == 0);
  }
}

TEST_CASE("matmul: meta allocates and logs the same and computes nothing") {
  const Tensor a = rough({30, 40}), b = rough({40, 70});
  Allocator &real = allocator_of(device_under_test()), &meta = allocator_of(Device::meta);
  const Tensor meta_a = Tensor::empty({30, 40}, DType::f32, Device::meta);
  const Tensor meta_b = Tensor::empty({40, 70}, DType::f32, Device::meta);
  real.reset_peaks();
  meta.reset_peaks();
  const std::size_t real_before = real.counters().in_use, meta_before = meta.counters().in_use;
  const LaunchLog log;
  const Tensor y = matmul(a, b);
  const Tensor z = matmul(meta_a, meta_b);
  CHECK(z.shape() == y.shape());
  CHECK(z.is_meta());
  CHECK(meta.counters().peak_in_use - meta_before == real.counters().peak_in_use - real_before);
  REQUIRE(log.launches().size() == 2);
  CHECK(std::string(log.launches()[0].kernel) == log.launches()[1].kernel);
  CHECK(log.launches()[1].flops == 2.0 * 30 * 40 * 70);
}

TEST_CASE("matmul: messages") {
  const Tensor a = rough({2, 3}), b = rough({3, 4});
  CHECK(message([&] { matmul(a, a); }) ==
        "matmul: inner sizes differ: a is [2, 3], b is [2, 3]. Transpose one of them, or check the "
        "layer's input width.");
  CHECK(message([&] { matmul(a, rough({3})); }) ==
        "matmul: an operand is no matrix: a is [2, 3], b is [3]. Add an axis with unsqueeze.");
  CHECK(message([&] {
          matmul(a, rough({3, 4}, DType::f64));
        }) ==
        "matmul: types do not fit: a is f32, b is f64. Cast both to one floating-point type.");
  CHECK(message([&] { matmul(a, b, {rough({3})}); }) ==
        "matmul: the bias is [3], b is [3, 4]. Give one value a column of b.");
  CHECK(message([&] {
          matmul(a, b, {}, {Tensor(), true});
        }) == "matmul: there is nothing to add to. Give `out` or leave `add` away.");
  CHECK(message([&] {
          matmul(a, b, {}, {rough({4, 2})});
        }) ==
        fmt::format("matmul: the result is [2, 4] f32 on {0}, `out` is [4, 2] f32 on {0}. Give a "
                    "tensor that fits.",
                    device_under_test()));
  CHECK(message([&] {
          matmul(a, b, {}, {rough({4, 2}).transpose()});
        }) ==
        "matmul: the columns of `out` are 2 elements apart. Give one whose rows are contiguous.");
  CHECK(message([&] {
          matmul(a, b, {}, {rough({1, 4}).expand({2, 4})});
        }) ==
        "matmul: `out` is a view in which elements lie on top of each other: [2, 4] with strides "
        "[0, 1]. Give the tensor before expand() or view().");
  const Tensor square = rough({3, 3});
  CHECK(message([&] { matmul(square, square, {}, {square}); }) ==
        "matmul: `out` shares memory with an operand. Give it memory of its own.");
  const Tensor both = rough({4, 3});  // the bias is a row of the result
  CHECK(message([&] {
          matmul(rough({4, 2}), rough({2, 3}), {both.slice(0, 1, 2).reshape({3})}, {both});
        }) == "matmul: `out` shares memory with an operand. Give it memory of its own.");
}
