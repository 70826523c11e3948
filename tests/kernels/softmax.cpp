// Softmax, its logarithm and log-sum-exp against their definitions in long double.
#include "kernels/softmax.h"

#include <doctest/doctest.h>

#include <cmath>

#include "kernels/cpu/isa.h"
#include "kernels/cpu/isa/softmax.h"
#include "kernels/random.h"
#include "tests/device.h"
#include "tests/kernels/tools.h"

using namespace likely;
using namespace likely::kernels;

namespace {

Tensor wide_logits(const Shape& shape, DType dtype) {  // in (-21, 39)
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
      const Tensor x = wide_logits(shape, dtype);
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
  const Tensor x = wide_logits({300, 101}, DType::f32);
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
  const Tensor y = wide_logits({300, 101}, DType::f64), z = wide_logits({300, 101}, DType::bf16);
  same(isa_v3::softmax_table.f32, isa_v4::softmax_table.f32, x.data<float>(), 0.0f);
  same(isa_v3::softmax_table.f64, isa_v4::softmax_table.f64, y.data<double>(), 0.0);
  same(isa_v3::softmax_table.bf16, isa_v4::softmax_table.bf16,
       reinterpret_cast<const std::uint16_t*>(z.data<bf16>()), std::uint16_t{0});
}

TEST_CASE("softmax: a row alone equals the row in a batch") {
  const Tensor x = wide_logits({7, 37}, DType::f32);
  const auto all = softmax(x, 1).slice(0, 5, 6).to_vector<float>();
  CHECK(softmax(x.slice(0, 5, 6), 1).to_vector<float>() == all);
}

namespace {

// Indices below `classes`, without a simple pattern.
Tensor classes_of(const Shape& shape, std::int64_t classes) {
  std::vector<std::int64_t> index;
  for (std::int64_t i = 0; i < shape.numel(); ++i)
    index.push_back(i * i * 7 % 31 % classes);
  return tensor(shape, index);
}

Draw draw_of(const char* name) { return {step_state({}), purpose_hash(name), 2}; }

}  // namespace

TEST_CASE("categorical_log_prob: value and gradient agree with the definition") {
  for (const DType dtype : {DType::f32, DType::f64, DType::bf16})
    for (const std::int64_t classes : {1, 2, 10, 256, 1027, 9001}) {
      const double bar = dtype == DType::f64 ? 1e-13 : dtype == DType::f32 ? 4e-6 : 2e-2;
      const Tensor x = wide_logits({2, 3, classes}, dtype), g = rough({2, 3}, dtype, 5);
      const Tensor index = classes_of({2, 3}, classes);
      const CategoricalLogProb found = categorical_log_prob(x, index);
      const Tensor gradient = categorical_log_prob_gradient(g, x, index, found.log_sum_exp);
      CHECK(found.log_prob.shape() == Shape{2, 3});
      CHECK(gradient.shape() == x.shape());
      const auto xs = to_doubles(x), gs = to_doubles(g), values = to_doubles(found.log_prob),
                 slopes = to_doubles(gradient);
      const auto at = index.to_vector<std::int64_t>();
      std::vector<double> expected, expected_slopes;
      for (std::size_t row = 0; row < 6; ++row) {
        const auto n = static_cast<std::size_t>(classes);
        const std::vector<double> logits(xs.begin() + static_cast<std::ptrdiff_t>(row * n),
                                         xs.begin() + static_cast<std::ptrdiff_t>((row + 1) * n));
        const auto sum = static_cast<double>(log_sum_exp_of(logits));
        const auto chosen = static_cast<std::size_t>(at[row]);
        expected.push_back(logits[chosen] - sum);
        for (std::size_t c = 0; c < n; ++c)
          expected_slopes.push_back(((c == chosen) - std::exp(logits[c] - sum)) * gs[row]);
      }
      CHECK(largest_error(values, expected) < bar);
      CHECK(largest_error(slopes, expected_slopes) < bar);
    }
}

TEST_CASE("categorical_log_prob: strided logits, and an index outside, which gives NaN") {
  const Tensor x = wide_logits({5, 4}, DType::f32), index = classes_of({4}, 5);
  const Tensor view = x.transpose(0, 1);
  CHECK(categorical_log_prob(view, index).log_prob.to_vector<float>() ==
        categorical_log_prob(contiguous(view), index).log_prob.to_vector<float>());
  const auto outside =
      categorical_log_prob(view, tensor({4}, std::vector<std::int64_t>{5, -1, 4, 0}))
          .log_prob.to_vector<float>();
  CHECK(std::isnan(outside[0]));
  CHECK(std::isnan(outside[1]));
  CHECK(!std::isnan(outside[2]));
  CHECK(!std::isnan(outside[3]));
}

TEST_CASE("categorical: a draw is the largest of logits plus Gumbel noise from its uniforms") {
  for (const DType dtype : {DType::f32, DType::f64})
    for (const Shape& shape : {Shape{300, 3}, Shape{7, 256}, Shape{2, 3, 1000}, Shape{5, 1}}) {
      const Tensor logits = rough(shape, dtype, 9);
      const auto x = to_doubles(logits), u = to_doubles(uniform(shape, draw_of("gumbel"), dtype));
      std::vector<std::int64_t> expected;
      const auto classes = static_cast<std::size_t>(shape[-1]);
      for (std::size_t begin = 0; begin < x.size(); begin += classes) {
        std::size_t best = begin;
        for (std::size_t i = begin; i < begin + classes; ++i)
          if (x[i] - std::log(-std::log(u[i])) > x[best] - std::log(-std::log(u[best])))
            best = i;
        expected.push_back(static_cast<std::int64_t>(best - begin));
      }
      const Tensor drawn = categorical(logits, draw_of("gumbel"));
      CHECK(drawn.shape() == shape.without(shape.rank() - 1));
      CHECK(drawn.to_vector<std::int64_t>() == expected);
    }
}

TEST_CASE("categorical: what is impossible is never drawn") {
  std::vector<float> logits;
  for (int row = 0; row < 1000; ++row)
    logits.insert(logits.end(), {-infinity, 0, -infinity, 1, -infinity});
  for (const std::int64_t drawn :
       categorical(tensor({1000, 5}, logits), draw_of("impossible")).to_vector<std::int64_t>())
    CHECK((drawn == 1 || drawn == 3));
}

TEST_CASE("categorical: threads and instruction sets change no bit" * cpu_only) {
  const Tensor x = wide_logits({3000, 7}, DType::f32), index = classes_of({3000}, 7);
  const auto draw = [&] { return categorical(x, draw_of("t")).to_vector<std::int64_t>(); };
  const auto log_prob = [&] { return categorical_log_prob(x, index).log_prob.to_vector<float>(); };
  CHECK(on_threads(1, draw) == on_threads(2, draw));
  CHECK(on_threads(1, log_prob) == on_threads(2, log_prob));
  if (!cpu_has(Isa::v4))
    return;
  const auto &v3 = isa_v3::softmax_table.f32, &v4 = isa_v4::softmax_table.f32;
  const PhiloxStream stream = philox_stream(1, 2, 3, 4);
  std::vector<std::int64_t> a(3000), b(3000);
  v3.sample(x.data<float>(), 0, 3000, 7, stream, a.data());
  v4.sample(x.data<float>(), 0, 3000, 7, stream, b.data());
  CHECK(a == b);
  std::vector<float> p(3000), q(3000), sums(3000), same(3000), g(21000), h(21000);
  const auto* const at = index.data<std::int64_t>();
  v3.log_prob(x.data<float>(), 3000, 7, at, p.data(), sums.data());
  v4.log_prob(x.data<float>(), 3000, 7, at, q.data(), same.data());
  CHECK(p == q);
  CHECK(sums == same);
  v3.log_prob_gradient(p.data(), x.data<float>(), 3000, 7, at, sums.data(), g.data());
  v4.log_prob_gradient(p.data(), x.data<float>(), 3000, 7, at, sums.data(), h.data());
  CHECK(g == h);
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
  CHECK(message([] {
          categorical_log_prob(filled({2, 3}, 0), filled({3}, 0, DType::i64));
        }).starts_with("categorical_log_prob: the index is [3] i64 on "));
  CHECK(message([] {
          categorical(filled({2, 0}, 0), draw_of("none"));
        }) == "categorical: [2, 0] has no classes. Give logits [..., classes].");
  CHECK(message([] { log_sum_exp(filled({2}, 0, DType::i32), 0); }) ==
        "log_sum_exp: i32 has no exponentials: only floating-point types have. Use cast() first.");
}
