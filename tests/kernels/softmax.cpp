// Softmax, its logarithm and log-sum-exp against their definitions in long double.
#include "kernels/softmax.h"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>

#include "kernels/cpu/isa.h"
#include "kernels/cpu/isa/softmax.h"
#include "tests/device.h"
#include "tests/kernels/tools.h"

using namespace likely;
using namespace likely::kernels;

namespace {

const float infinity = std::numeric_limits<float>::infinity();

Tensor wide(const Shape& shape, DType dtype) {  // in (-21, 39)
  const Tensor x = rough(shape, DType::f64, 3);
  Tensor out = filled(shape, 0, DType::f64);
  for (int i = 0; i < 30; ++i)
    add_into(out, x);
  return cast(out, dtype);
}

long double log_sum_exp_of(const std::vector<double>& row) {
  long double largest = row[0], sum = 0;
  for (const double x : row)
    largest = std::max<long double>(largest, x);
  for (const double x : row)
    sum += std::exp(x - largest);
  return largest + std::log(sum);
}

}  // namespace

TEST_CASE("softmax: every axis, type and layout agrees with the definition") {
  for (const DType dtype : {DType::f32, DType::f64, DType::bf16}) {
    const double bar = dtype == DType::f64 ? 1e-14 : dtype == DType::f32 ? 2e-6 : 2e-2;
    for (const Shape& shape : {Shape{3, 10, 4}, Shape{2, 700, 3}, Shape{2, 1, 9001}}) {
      const Tensor x = wide(shape, dtype);
      for (const Tensor& view : {x, x.transpose(0, 1)})
        for (int axis = 0; axis < 3; ++axis) {
          const Tensor p = softmax(view, axis), l = log_softmax(view, axis - 3);
          const Tensor s = log_sum_exp(view, axis);
          CHECK(p.shape() == view.shape());
          CHECK(p.contiguous());
          CHECK(s.shape() == view.shape().without(axis));
          const auto rows = to_doubles(view.transpose(axis, 2)),
                     ps = to_doubles(p.transpose(axis, 2));
          const auto ls = to_doubles(l.transpose(axis, 2));
          const auto sums = to_doubles(log_sum_exp(view, axis, Keep::yes).transpose(axis, 2));
          const auto n = static_cast<std::size_t>(view.size(axis));
          double worst = 0;
          for (std::size_t r = 0; r < sums.size(); ++r) {
            const auto begin = rows.begin() + static_cast<std::ptrdiff_t>(r * n);
            const auto sum = static_cast<double>(
                log_sum_exp_of({begin, begin + static_cast<std::ptrdiff_t>(n)}));
            worst = std::max(worst, std::abs(sums[r] - sum) / (1 + std::abs(sum)));
            for (std::size_t i = r * n; i < (r + 1) * n; ++i) {
              const double log_p = rows[i] - sum;
              worst = std::max({worst, std::abs(ps[i] - std::exp(log_p)) / std::exp(log_p) / 3,
                                std::abs(ls[i] - log_p) / (1 + std::abs(log_p))});
            }
          }
          CHECK(worst < bar);
        }
    }
  }
}

TEST_CASE("softmax: a row of equal logits is uniform, exactly") {
  for (const std::int64_t n : {1, 3, 10, 5000}) {
    const auto p = softmax(filled({2, n}, 1e30), 1).to_vector<float>();
    CHECK(p == std::vector<float>(static_cast<std::size_t>(2 * n), 1.0f / static_cast<float>(n)));
  }
}

TEST_CASE("log_sum_exp: infinities and NaN mean what they should") {
  const Tensor x = tensor({5, 2}, std::vector<float>{-infinity, -infinity, infinity, 1, infinity,
                                                     -infinity, NAN, 1, -infinity, 2});
  const auto s = log_sum_exp(x, 1).to_vector<float>();
  CHECK(s[0] == -infinity);
  CHECK(s[1] == infinity);
  CHECK(s[2] == infinity);
  CHECK(std::isnan(s[3]));
  CHECK(s[4] == 2.0f);
  CHECK(log_sum_exp(filled({2, 0}, 0), 1).to_vector<float>() == std::vector<float>(2, -infinity));
  const auto p = softmax(x, 1).to_vector<float>();
  CHECK(std::isnan(p[0]));
  CHECK(std::isnan(p[2]));
  CHECK(p[8] == 0.0f);
  CHECK(p[9] == 1.0f);
  CHECK(log_softmax(x, 1).to_vector<float>()[8] == -infinity);
  CHECK(softmax(filled({2, 0}, 0), 1).shape() == Shape{2, 0});
}

TEST_CASE("softmax: threads and instruction sets change no bit" * cpu_only) {
  const Tensor x = wide({300, 101}, DType::f32);
  const auto rows = [&] { return softmax(x, 1).to_vector<float>(); };
  const auto sums = [&] { return log_sum_exp(x, 0).to_vector<float>(); };
  CHECK(on_threads(1, rows) == on_threads(2, rows));
  CHECK(on_threads(1, sums) == on_threads(2, sums));
  if (!cpu_has(Isa::v4))
    return;
  const auto same = [](const auto& v3, const auto& v4, const auto* values, auto zero) {
    for (const std::int64_t columns : {1, 10, 101, 6000}) {
      const std::int64_t rows = 30000 / columns;
      std::vector<decltype(zero)> a(30000), b(30000);
      v3.softmax(values, rows, columns, a.data());
      v4.softmax(values, rows, columns, b.data());
      CHECK(a == b);
      v3.log_softmax(values, rows, columns, a.data());
      v4.log_softmax(values, rows, columns, b.data());
      CHECK(a == b);
      v3.log_sum_exp(values, rows, columns, a.data());
      v4.log_sum_exp(values, rows, columns, b.data());
      CHECK(a == b);
    }
  };
  const Tensor y = wide({300, 101}, DType::f64), z = wide({300, 101}, DType::bf16);
  same(isa_v3::softmax_table.f32, isa_v4::softmax_table.f32, x.data<float>(), 0.0f);
  same(isa_v3::softmax_table.f64, isa_v4::softmax_table.f64, y.data<double>(), 0.0);
  same(isa_v3::softmax_table.bf16, isa_v4::softmax_table.bf16,
       reinterpret_cast<const std::uint16_t*>(z.data<bf16>()), std::uint16_t{0});
}

TEST_CASE("softmax: a row alone equals the row in a batch") {
  const Tensor x = wide({7, 37}, DType::f32);
  const auto all = softmax(x, 1).slice(0, 5, 6).to_vector<float>();
  CHECK(softmax(x.slice(0, 5, 6), 1).to_vector<float>() == all);
}

TEST_CASE("softmax: on meta there is a shape") {
  const Tensor x = Tensor::empty({2, 3, 4}, DType::f32, Device::meta);
  CHECK(softmax(x, 1).shape() == Shape{2, 3, 4});
  CHECK(log_sum_exp(x, 1, Keep::yes).shape() == Shape{2, 1, 4});
}

TEST_CASE("softmax: errors say what does not fit") {
  CHECK(message([] {
          softmax(filled({2, 3}, 0), 2);
        }) == "softmax: there is no axis 2 in [2, 3]. Axes run from -2 to 1.");
  CHECK(message([] { log_sum_exp(filled({2}, 0, DType::i32), 0); }) ==
        "log_sum_exp: i32 has no exponentials: only floating-point types have. Use cast() first.");
}
