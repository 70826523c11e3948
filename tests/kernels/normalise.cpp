// Normalisation of channels against plain loops in f64.
#include "kernels/normalise.h"

#include <doctest/doctest.h>

#include <functional>

#include "kernels/cpu/isa.h"
#include "kernels/cpu/isa/normalise.h"
#include "kernels/pointwise.h"
#include "tests/device.h"
#include "tests/kernels/tools.h"
#include "tests/reference/activation.h"
#include "tests/reference/normalise.h"

using namespace likely;
using namespace likely::kernels;

namespace {

DType statistics_type(DType dtype) { return dtype == DType::f64 ? DType::f64 : DType::f32; }

struct NormaliseExample {
  Tensor x, g, scale, shift;

  NormaliseExample(const Shape& shape, DType dtype)
      : x(rough(shape, dtype, 5)),
        g(rough(shape, dtype, 6)),
        scale(rough({shape[-1]}, statistics_type(dtype), 7)),
        shift(rough({shape[-1]}, statistics_type(dtype), 8)) {}
};

reference::Normalised reference_of(const NormaliseExample& of, const Tensor& h, Over over) {
  const std::int64_t images = over == Over::image ? of.x.size(0) : 1, channels = of.x.size(-1);
  return reference::normalise(to_doubles(of.x), to_doubles(h), to_doubles(of.scale), 1e-5, images,
                              of.x.numel() / (images * channels), channels);
}

double tolerance_of(DType dtype) {
  return dtype == DType::f64 ? 1e-13 : dtype == DType::f32 ? 1e-5 : 2e-2;
}

}  // namespace

TEST_CASE("normalise: moments, values and gradients agree with plain loops") {
  for (const DType dtype : {DType::f32, DType::f64, DType::bf16})
    for (const Over over : {Over::batch, Over::image})
      for (const Shape& shape : {Shape{3, 5, 4, 3}, Shape{2, 700, 1}, Shape{2, 9, 7, 130},
                                 Shape{1, 70, 30, 16}, Shape{5, 1, 64}}) {
        INFO(fmt::format("{} {} {}", dtype, shape, over == Over::batch ? "batch" : "image"));
        const NormaliseExample of(shape, dtype);
        const reference::Normalised expected = reference_of(of, of.g, over);
        const Moments by = moments(of.x, over);
        const double bar = tolerance_of(dtype), exact = dtype == DType::bf16 ? 1e-5 : bar;
        CHECK(largest_error(to_doubles(by.mean), expected.mean) < exact);
        CHECK(largest_error(to_doubles(by.variance), expected.variance) < exact);

        const Tensor y = normalise(of.x, by, of.scale, of.shift);
        std::vector<double> values = expected.x;
        const auto scale = to_doubles(of.scale), shift = to_doubles(of.shift);
        for (std::size_t i = 0; i < values.size(); ++i)
          values[i] = scale[i % scale.size()] * values[i] + shift[i % scale.size()];
        CHECK(y.dtype() == dtype);
        CHECK(largest_error(to_doubles(y), values) < bar);
        CHECK(largest_error(to_doubles(normalise(of.x, by, {}, {})), expected.x) < bar);

        const NormaliseSums sums = normalise_sums(of.g, of.x, y, by, of.scale, of.shift);
        CHECK(largest_error(to_doubles(sums.shift), expected.sum_h) < exact);
        CHECK(largest_error(to_doubles(sums.scale), expected.sum_hx) < 10 * exact);
        const Tensor data = normalise_data(of.g, of.x, y, by, of.scale, of.shift, sums);
        CHECK(largest_error(to_doubles(data), expected.data) < 4 * bar);
      }
}

TEST_CASE("normalise: groups of channels agree with plain loops, with silu behind them") {
  const auto slope = [](double z) {
    const double s = 1 / (1 + std::exp(-z));
    return s * (1 + z * (1 - s));
  };
  struct Grouped {
    Shape shape;
    std::int64_t group;
  };
  for (const DType dtype : {DType::f32, DType::f64, DType::bf16})
    for (const auto& [shape, group] :
         {Grouped{{3, 5, 4, 12}, 3}, Grouped{{2, 9, 7, 130}, 26}, Grouped{{1, 70, 30, 16}, 4},
          Grouped{{5, 1, 64}, 64}, Grouped{{7, 40}, 8}, Grouped{{2, 3, 1500}, 500},
          Grouped{{2, 20, 21, 32}, 4}, Grouped{{3, 7, 7, 96}, 12}}) {
      INFO(fmt::format("{} {}, groups of {}", dtype, shape, group));
      const NormaliseExample of(shape, dtype);
      const std::int64_t images = shape[0], channels = shape[-1];
      const auto x = to_doubles(of.x), g = to_doubles(of.g), scale = to_doubles(of.scale),
                 shift = to_doubles(of.shift);
      const auto reference = [&](const std::vector<double>& h) {
        return reference::normalise(x, h, scale, 1e-5, images, of.x.numel() / (images * channels),
                                    channels, group);
      };
      std::vector<double> values = reference(g).x, h = g;
      for (std::size_t i = 0; i < values.size(); ++i) {
        const double z = scale[i % scale.size()] * values[i] + shift[i % scale.size()];
        values[i] = activated(Activation::silu, 0, z);
        h[i] *= slope(z);
      }
      const reference::Normalised expected = reference(h);
      const double bar = tolerance_of(dtype), exact = dtype == DType::bf16 ? 1e-5 : bar;
      const Normalise how{1e-5, Activation::silu};
      const auto check = [&](const Normalised& y, const NormaliseGradients& d) {
        CHECK(largest_error(to_doubles(y.by.mean), expected.mean) < exact);
        CHECK(largest_error(to_doubles(y.by.variance), expected.variance) < exact);
        CHECK(largest_error(to_doubles(y.y), values) < bar);
        CHECK(largest_error(to_doubles(d.sums.shift), expected.sum_h) < 10 * exact);
        CHECK(largest_error(to_doubles(d.sums.scale), expected.sum_hx) < 10 * exact);
        CHECK(largest_error(to_doubles(d.x), expected.data) < 4 * bar);
      };
      const Moments by = moments(of.x, Over::image, group);
      const NormaliseSums sums = normalise_sums(of.g, of.x, {}, by, of.scale, of.shift, how);
      check({normalise(of.x, by, of.scale, of.shift, how), by},
            {normalise_data(of.g, of.x, {}, by, of.scale, of.shift, sums, how), sums});
      check(normalised(of.x, of.scale, of.shift, how, Over::image, group),
            normalise_gradients(of.g, of.x, {}, by, of.scale, of.shift, how));
    }
}

TEST_CASE("normalise: with an offset of each image, groups are those of x + offset") {
  for (const DType dtype : {DType::f32, DType::f64})
    for (const auto& [shape, group] : {std::pair<Shape, std::int64_t>{{3, 5, 4, 12}, 3},
                                       {{2, 33, 70}, 35},
                                       {{3, 9, 9, 48}, 12}}) {
      const NormaliseExample of(shape, dtype);
      const Tensor offset = rough({shape[0], shape[-1]}, dtype, 9);
      Shape a_position = shape.with(1, 1);
      if (shape.rank() == 4)
        a_position = a_position.with(2, 1);
      const Tensor moved = pointwise(call(Add{}), {of.x, offset.reshape(a_position)});
      const Moments by = moments(of.x, Over::image, group, offset),
                    direct = moments(moved, Over::image, group);
      const double bar = tolerance_of(dtype);
      CHECK(largest_error(to_doubles(by.variance), to_doubles(direct.variance)) < bar);
      CHECK(largest_error(to_doubles(pointwise(call(Add{}), {by.mean, offset})),
                          to_doubles(direct.mean)) < bar);
      const std::vector<double> y = to_doubles(normalise(moved, direct, of.scale, of.shift));
      CHECK(largest_error(to_doubles(normalise(of.x, by, of.scale, of.shift)), y) < 4 * bar);
      const Normalised whole = normalised(of.x, of.scale, of.shift, {}, Over::image, group, offset);
      CHECK(largest_error(to_doubles(whole.by.mean), to_doubles(by.mean)) < bar);
      CHECK(largest_error(to_doubles(whole.by.variance), to_doubles(by.variance)) < bar);
      CHECK(largest_error(to_doubles(whole.y), y) < 4 * bar);
    }
}

TEST_CASE("normalise: an activation and its slope are those of the pointwise kernels") {
  const NormaliseExample of({4, 6, 5, 24}, DType::f32);
  const Moments by = moments(of.x, Over::batch);
  const Tensor plain = normalise(of.x, by, of.scale, of.shift);
  const auto check = [&](Activation activation, const auto& formula, const auto& slope) {
    const Normalise how{1e-5, activation, 0.2};
    const Tensor y = normalise(of.x, by, of.scale, of.shift, how);
    CHECK(to_doubles(y) == to_doubles(pointwise(call(formula), {plain})));
    const Tensor h = pointwise(call(slope), {of.g, y});
    const NormaliseSums sums = normalise_sums(of.g, of.x, y, by, of.scale, of.shift, how),
                        expected = normalise_sums(h, of.x, {}, by, of.scale, of.shift);
    CHECK(to_doubles(sums.scale) == to_doubles(expected.scale));
    CHECK(to_doubles(sums.shift) == to_doubles(expected.shift));
    CHECK(to_doubles(normalise_data(of.g, of.x, y, by, of.scale, of.shift, sums, how)) ==
          to_doubles(normalise_data(h, of.x, {}, by, of.scale, of.shift, sums)));
  };
  check(Activation::relu, Relu{}, ReluFromOutput{});
  check(Activation::leaky_relu, LeakyRelu{0.2}, LeakyReluFromOutput{0.2});
  check(Activation::tanh, Tanh{}, TanhFromOutput{});
  check(Activation::sigmoid, Sigmoid{}, SigmoidFromOutput{});
  CHECK(to_doubles(normalise(of.x, by, of.scale, of.shift, {1e-5, Activation::silu})) ==
        to_doubles(pointwise(call(Silu{}), {plain})));
}

TEST_CASE("normalise: with given moments the gradient of x is g scale / sd") {
  const NormaliseExample of({7, 5}, DType::f64);
  const Moments by{rough({5}, DType::f64, 3), filled({5}, 0.25, DType::f64)};
  const Tensor data = normalise_data(of.g, of.x, {}, by, of.scale, {}, {}, {0});
  const auto g = to_doubles(of.g), scale = to_doubles(of.scale), found = to_doubles(data);
  for (std::size_t i = 0; i < g.size(); ++i)
    CHECK(found[i] == doctest::Approx(g[i] * scale[i % 5] * 2).epsilon(1e-14));
}

TEST_CASE("moments: a spread far smaller than the mean is not lost, whatever comes first") {
  // The first block of rows is 0, so no shift by early values would help.
  const std::int64_t rows = 20000, channels = 8;
  std::vector<float> values(static_cast<std::size_t>(rows * channels), 0.f);
  for (std::size_t i = 8 * 8192; i < values.size(); ++i)
    values[i] = 4096.f + static_cast<float>(i / 8 % 2);
  const Tensor x = tensor({rows, channels}, values);
  const Moments late = moments(x.slice(0, 8192, rows), Over::batch);
  CHECK(late.mean.to_vector<float>() == std::vector<float>(8, 4096.5f));
  for (const double variance : to_doubles(late.variance))
    CHECK(variance == doctest::Approx(0.25).epsilon(1e-6));
  const double share = 8192. / rows, mean = 4096.5 * (1 - share);
  const Moments all = moments(x, Over::batch);
  for (const double m : to_doubles(all.mean))
    CHECK(m == doctest::Approx(mean).epsilon(1e-6));
  for (const double variance : to_doubles(all.variance))
    CHECK(
        variance ==
        doctest::Approx(4096.5 * 4096.5 * share * (1 - share) + 0.25 * (1 - share)).epsilon(1e-6));
}

TEST_CASE("normalise: a constant channel gives the shift") {
  const Tensor x = filled({40, 3}, 0.3), shift = tensor({3}, std::vector<float>{-1, 0, 2});
  const Tensor y = normalise(x, moments(x, Over::batch), {}, shift);
  // A mean that is off by a rounding counts 1 / √ε times.
  CHECK(largest_error(to_doubles(y), to_doubles(contiguous(shift.expand({40, 3})))) < 1e-5);
}

// Every path: few rows and many, one channel and more, groups, images, batches.
const std::vector<std::pair<Shape, std::int64_t>> far_shapes{
    {{3, 64, 1}, 1},   {{2, 50, 24}, 1},    {{2, 50, 24}, 6}, {{3, 7, 96}, 12},
    {{2, 9000, 3}, 1}, {{2, 2100, 133}, 7}, {{4, 40}, 40}};

TEST_CASE("normalise: a row of equal numbers gives the shift, however large they are") {
  for (const DType dtype : {DType::f32, DType::f64})
    for (const double value : {12345.678, -1e6 / 3, 0.1})
      for (const auto& [shape, group] : far_shapes)
        for (const Over over : {Over::batch, Over::image}) {
          if (over == Over::image && group == 1 && shape.rank() == 2)
            continue;
          INFO(fmt::format("{} {} {}, groups of {}", value, dtype, shape, group));
          const Tensor x = filled(shape, value, dtype), shift = rough({shape[-1]}, dtype, 8);
          const Normalised y = normalised(x, {}, shift, {}, over, over == Over::batch ? 1 : group);
          CHECK(largest_error(to_doubles(y.by.variance),
                              std::vector<double>(static_cast<std::size_t>(y.by.variance.numel()),
                                                  0.0)) < 1e-12);
          CHECK(largest_error(to_doubles(y.y), to_doubles(contiguous(shift.expand(shape)))) <
                (dtype == DType::f32 ? 1e-6 : 1e-13));
        }
}

TEST_CASE(
    "normalise: far from 0 the mean is within two units of its last place, values and gradients "
    "with it") {
  const double far = 1000;
  for (const auto& [shape, group] : far_shapes)
    for (const Over over : {Over::batch, Over::image}) {
      const std::int64_t joined = over == Over::batch ? 1 : group;
      if (over == Over::image && group == 1 && shape.rank() == 2)
        continue;
      INFO(fmt::format("{} {}, groups of {}", over == Over::batch, shape, joined));
      const NormaliseExample of(shape, DType::f32);
      const Tensor x = pointwise(call(Shift{far}), {of.x});
      const std::int64_t images = over == Over::image ? shape[0] : 1, channels = shape[-1];
      const reference::Normalised expected =
          reference::normalise(to_doubles(x), to_doubles(of.g), to_doubles(of.scale), 1e-5, images,
                               x.numel() / (images * channels), channels, joined);
      const Normalised y = normalised(x, {}, {}, {}, over, joined);
      const NormaliseGradients d = normalise_gradients(of.g, x, {}, y.by, of.scale, {});
      // Within two units in the last place of the mean, of 6.1e-5, which count 1 / sd times in x̂.
      CHECK(largest_error(to_doubles(y.by.mean), expected.mean) < 2 * 0x1p-24);
      CHECK(largest_error(to_doubles(y.by.variance), expected.variance) < 1e-5);
      if (shape.numel() / (over == Over::image ? shape[0] : 1) > 200)
        CHECK(largest_error(to_doubles(y.y), expected.x) < 3e-4);
      CHECK(largest_error(to_doubles(d.x), expected.data) < 2e-2);
    }
}

TEST_CASE("normalise: with an offset of each image too") {
  const Tensor x = filled({2, 25, 32}, 12345.678), offset = filled({2, 32}, -0.1);
  const Normalised y = normalised(x, {}, {}, {}, Over::image, 4, offset);
  CHECK(largest_error(to_doubles(y.y), std::vector<double>(1600, 0.0)) < 1e-3);
}

TEST_CASE("normalise: without a slope in y the gradient of leaky_relu is refused") {
  const Tensor x = rough({5, 3});
  const Moments by = moments(x, Over::batch);
  const Normalise how{1e-5, Activation::leaky_relu, -0.5};
  CHECK(
      message([&] { normalise_sums(x, x, x, by, {}, {}, how); }) ==
      "normalise_sums: the gradient of leaky_relu does not follow from its value where the slope, "
      "-0.5, is below 0. Apply leaky_relu to what is normalised without an activation.");
  for (const auto& run :
       std::vector<std::function<void()>>{[&] { normalise_data(x, x, x, by, {}, {}, {}, how); },
                                          [&] { normalise_gradients(x, x, x, by, {}, {}, how); }})
    CHECK(message(run).find("the slope, -0.5, is below 0") != std::string::npos);
}

TEST_CASE(
    "normalise: groups of a channel are instances, and a scale of 0 stops no other gradient") {
  const NormaliseExample of({3, 6, 5, 24}, DType::f64);
  const Moments alone = moments(of.x, Over::image), same = moments(of.x, Over::image, 1);
  CHECK(to_doubles(alone.variance) == to_doubles(same.variance));
  const Moments by = moments(of.x, Over::image, 4);
  const Tensor zero = filled({24}, 0, DType::f64);
  const NormaliseSums sums = normalise_sums(of.g, of.x, {}, by, zero, of.shift);
  CHECK(to_doubles(normalise_data(of.g, of.x, {}, by, zero, of.shift, sums)) ==
        std::vector<double>(static_cast<std::size_t>(of.x.numel()), 0.0));
}

TEST_CASE("normalise: strided views give the bits of their copies") {
  const NormaliseExample of({6, 5, 4, 12}, DType::f32);
  const Tensor view = of.x.transpose(1, 2), copy = contiguous(view);
  const Moments by = moments(view, Over::batch), same = moments(copy, Over::batch);
  CHECK(to_doubles(by.variance) == to_doubles(same.variance));
  CHECK(to_doubles(normalise(view, by, of.scale, of.shift)) ==
        to_doubles(normalise(copy, same, of.scale, of.shift)));
}

TEST_CASE("normalise: one image alone equals the image in a batch") {
  const NormaliseExample of({5, 9, 8, 20}, DType::f32);
  const Tensor one = of.x.slice(0, 3, 4);
  const Moments all = moments(of.x, Over::image), alone = moments(one, Over::image);
  CHECK(to_doubles(all.variance.slice(0, 3, 4)) == to_doubles(alone.variance));
  CHECK(to_doubles(normalise(of.x, all, of.scale, of.shift).slice(0, 3, 4)) ==
        to_doubles(normalise(one, alone, of.scale, of.shift)));
}

TEST_CASE("normalise: threads change no bit" * cpu_only) {
  for (const Shape& shape : {Shape{40000, 5}, Shape{3000, 150}, Shape{9, 33, 40, 16}})
    for (const Over over : {Over::batch, Over::image}) {
      if (over == Over::image && shape.rank() == 2)
        continue;
      const NormaliseExample of(shape, DType::f32);
      const auto all = [&] {
        const Moments by = moments(of.x, over, over == Over::image ? 4 : 1);
        const Normalise how{1e-5, over == Over::image ? Activation::silu : Activation::relu};
        const Tensor y = normalise(of.x, by, of.scale, of.shift, how);
        const NormaliseSums sums = normalise_sums(of.g, of.x, y, by, of.scale, of.shift, how);
        const Tensor data = normalise_data(of.g, of.x, y, by, of.scale, of.shift, sums, how);
        return std::vector<std::vector<double>>{to_doubles(by.variance), to_doubles(y),
                                                to_doubles(sums.scale), to_doubles(data)};
      };
      CHECK(on_threads(1, all) == on_threads(2, all));
    }
}

TEST_CASE("normalise: instruction sets change no bit" * cpu_only) {
  if (!cpu_has(Isa::v4))
    return;
  const auto same = [](const auto& v3, const auto& v4, DType dtype, auto stored, auto zero) {
    using S = decltype(stored);
    using A = decltype(zero);
    const NormaliseExample of({700, 20}, dtype);
    std::vector<A> statistics(80);
    std::vector<S> y(14000);
    NormaliseRows<S, A> rows{};
    rows.rows = 700;
    rows.stride = rows.columns = 20;
    rows.x = static_cast<const S*>(of.x.raw());
    rows.g = static_cast<const S*>(of.g.raw());
    rows.scale = static_cast<const A*>(of.scale.raw());
    rows.shift = static_cast<const A*>(of.shift.raw());
    rows.group = 5;
    rows.positions = 700;
    rows.epsilon = A(1e-5);
    const auto run = [&](const auto& loops) {
      A* at = statistics.data();
      loops.moments(rows, at, at + 20);
      rows.mean = at;
      rows.variance = at + 20;
      rows.out = y.data();
      loops.normalise(rows);
      const std::vector<S> values = y;
      rows.y = values.data();
      loops.sums(rows, at + 40, at + 60);
      rows.sum_shift = at + 40;
      rows.sum_scale = at + 60;
      loops.data(rows);
      return std::tuple(statistics, values, y);
    };
    for (const Activation activation : {Activation::tanh, Activation::silu}) {
      rows.activation = activation;
      CHECK(run(v3) == run(v4));
    }
  };
  same(isa_v3::normalise_table.f32, isa_v4::normalise_table.f32, DType::f32, 0.f, 0.f);
  same(isa_v3::normalise_table.f64, isa_v4::normalise_table.f64, DType::f64, 0., 0.);
  same(isa_v3::normalise_table.bf16, isa_v4::normalise_table.bf16, DType::bf16, std::uint16_t{0},
       0.f);
}

TEST_CASE("normalise: nothing of no images, and shapes alone on meta") {
  const Tensor x = filled({0, 4, 3}, 0);
  const Moments none = moments(x, Over::image);
  CHECK(none.mean.shape() == Shape{0, 3});
  CHECK(normalise(x, none, {}, {}).shape() == x.shape());
  const NormaliseSums sums = normalise_sums(x, x, {}, {filled({3}, 0), filled({3}, 1)}, {}, {});
  CHECK(sums.shift.to_vector<float>() == std::vector<float>(3, 0.f));
  const Tensor meta = Tensor::empty({2, 4, 3}, DType::bf16, Device::meta);
  const Moments by = moments(meta, Over::batch);
  CHECK(by.variance.dtype() == DType::f32);
  CHECK(normalise(meta, by, {}, {}).shape() == meta.shape());
  CHECK(normalise_data(meta, meta, {}, by, {}, {}, normalise_sums(meta, meta, {}, by, {}, {}))
            .dtype() == DType::bf16);
}

TEST_CASE("normalise: errors say what does not fit") {
  const Tensor x = filled({2, 3}, 0);
  const Moments by{filled({3}, 0), filled({3}, 1)};
  CHECK(message([&] {
          moments(filled({2, 3}, 0, DType::i32), Over::batch);
        }) == "moments: i32 is not normalised: only floating-point types are. Use cast() first.");
  CHECK(message([&] { moments(x, Over::image); }) ==
        "moments: x is [2, 3], which has no axes to average over. Give it as [batch, …, "
        "channels].");
  CHECK(message([&] {
          moments(filled({2, 4, 3}, 0), Over::image, 2);
        }) == "moments: 3 channels do not make groups of 2: x is [2, 4, 3]. Give a divisor.");
  CHECK(message([&] {
          moments(filled({0, 3}, 0), Over::batch);
        }) == "moments: there is no mean of no elements: x is [0, 3].");
  CHECK(message([&] { normalise(x, {}, {}, {}); }) == "normalise: mean or variance is undefined.");
  CHECK(message([&] { normalise(x, by, filled({2}, 1), {}); }) ==
        fmt::format("normalise: the scale is f32 [2] on {0}, for x f32 [2, 3] it must be f32 [3] "
                    "on {0}.",
                    x.device()));
  CHECK(message([&] {
          normalise_sums(filled({3, 2}, 0), x, {}, by, {}, {});
        }) == fmt::format("normalise_sums: g must be f32 [2, 3] on {}, as x is.", x.device()));
}
