// Convolutions and their gradients against plain loops in f64, and against each other bit for bit.
#include "kernels/convolution.h"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>

#include "kernels/matmul.h"
#include "kernels/pointwise.h"
#include "tensor/allocator.h"
#include "tests/device.h"
#include "tests/kernels/convolution_problems.h"
#include "tests/kernels/tools.h"
#include "tests/reference/activation.h"

using namespace likely;
using namespace likely::kernels;

namespace {

// Sums from `start`, what their terms are together as large as, and the most terms of one.
struct ExpectedSums {
  std::vector<double> values, terms, counts;
};

ExpectedSums expected(Direction direction, const ConvolutionSizes& s, const Images& of,
                      const std::vector<double>& start) {
  const std::vector<double> x = to_doubles(of.x), w = to_doubles(of.w), y = to_doubles(of.y);
  ExpectedSums result{start, start, std::vector<double>(start.size(), 1)};
  for (double& term : result.terms)
    term = std::fabs(term);
  reference::for_products(s, [&](std::int64_t ix, std::int64_t iw, std::int64_t iy) {
    const std::int64_t place = direction == Direction::forward ? iy
                               : direction == Direction::data  ? ix
                                                               : iw;
    const double product = direction == Direction::forward ? x[ix] * w[iw]
                           : direction == Direction::data  ? y[iy] * w[iw]
                                                           : x[ix] * y[iy];
    result.values[place] += product;
    result.terms[place] += std::fabs(product);
    result.counts[place] += 1;
  });
  return result;
}

// The largest error of `found`, in units of what rounding may do to sums and then to the result.
double excess(const Tensor& found, const ExpectedSums& of) {
  const double sum_unit = found.dtype() == DType::f64 ? 0x1p-53 : 0x1p-24;
  const double unit = found.dtype() == DType::bf16 ? 0x1p-8 : sum_unit;
  const std::vector<double> values = to_doubles(found);
  REQUIRE(values.size() == of.values.size());
  double worst = 0;
  for (std::size_t i = 0; i < values.size(); ++i) {
    const double error =
        std::fabs(values[i] - of.values[i]) /
        (sum_unit * of.counts[i] * of.terms[i] + 8 * unit * (1 + std::fabs(of.values[i])));
    worst = std::isnan(error) ? error : std::max(worst, error);
  }
  return worst;
}

Shape shape_of(Direction direction, const ConvolutionSizes& s) {
  return direction == Direction::forward ? s.y_shape()
         : direction == Direction::data  ? s.x_shape()
                                         : s.w_shape();
}

}  // namespace

TEST_CASE("convolution: three directions agree with loops in f64, whatever sizes and type") {
  for (const ConvolutionSizes& s : odd_convolutions)
    for (const DType dtype : {DType::f32, DType::f64, DType::bf16})
      for (const Direction direction : directions)
        for (const bool add : {false, true}) {
          const Images of = images_of(s, dtype);
          const Shape shape = shape_of(direction, s);
          const Tensor start = add ? rough(shape, dtype, 4) : filled(shape, 0, dtype);
          const ExpectedSums exact = expected(direction, s, of, to_doubles(start));
          CAPTURE(s.x_shape());
          CAPTURE(s.w_shape());
          CAPTURE(static_cast<int>(direction));
          CAPTURE(dtype);
          CHECK(excess(run(direction, s, of, {}, add ? Into{start, true} : Into{}), exact) < 1);
        }
}

TEST_CASE("convolution: bias and activation in the epilogue equal the pointwise kernels") {
  int turn = 0;
  for (const ConvolutionSizes& s : odd_convolutions)
    for (const Direction direction : {Direction::forward, Direction::data}) {
      const Images of = images_of(s);
      const Shape shape = shape_of(direction, s);
      const Tensor bias = rough({shape[3]}, DType::f32, 5);
      const auto activation = static_cast<Activation>(turn++ % 7 % 6);
      const bool biased = turn % 3;
      Tensor sums = run(direction, s, of);
      if (biased)
        sums = pointwise(call(Add{}), {sums, bias});
      const std::vector<double> before = to_doubles(sums);
      const std::vector<double> after =
          to_doubles(run(direction, s, of, {biased ? bias : Tensor(), activation, 0.25f}));
      double worst = 0;
      for (std::size_t i = 0; i < before.size(); ++i) {
        const double expected = activated(activation, 0.25, before[i]);
        worst = std::max(worst, std::fabs(after[i] - expected) / (1 + std::fabs(expected)));
      }
      CAPTURE(turn);
      CHECK(worst < (activation >= Activation::tanh ? 1e-6 : 1e-12));
    }
}

TEST_CASE("convolution: own f32 results have the CPU's bits on every device") {
  for (const ConvolutionSizes& s : odd_convolutions)
    for (const Direction direction : {Direction::forward, Direction::data}) {
      const Images of = images_of(s);
      const std::int64_t channels = shape_of(direction, s)[3];
      const Tensor bias = rough({channels}, DType::f32, 5);
      const auto result = [&](Device device) {
        const auto there = [&](const Tensor& x) { return x.to(device); };
        return to_doubles(run(direction, s, {there(of.x), there(of.w), there(of.y)},
                              {there(bias), Activation::leaky_relu}));
      };
      CAPTURE(s.x_shape());
      CAPTURE(s.w_shape());
      CHECK(result(device_under_test()) == result(Device::cpu));
    }
}

TEST_CASE("convolution: an image alone equals the same image in a batch") {
  const ConvolutionSizes s{9, {5, 6}, 24, 40, 4, {.stride = 2, .padding = 1}};
  const Images of = images_of(s);
  const Epilogue epilogue{Tensor(), Activation::sigmoid};
  const Tensor forward = run(Direction::forward, s, of, epilogue);
  const Tensor data = run(Direction::data, s, of, epilogue);
  for (std::int64_t b = 0; b < s.batch; ++b) {
    ConvolutionSizes one = s;
    one.batch = 1;
    const Images alone{of.x.slice(0, b, b + 1), of.w, of.y.slice(0, b, b + 1)};
    CHECK(to_doubles(run(Direction::forward, one, alone, epilogue)) ==
          to_doubles(forward.slice(0, b, b + 1)));
    CHECK(to_doubles(run(Direction::data, one, alone, epilogue)) ==
          to_doubles(data.slice(0, b, b + 1)));
  }
}

TEST_CASE("convolution: views, and `out` within a larger buffer") {
  const ConvolutionSizes s{2, {5, 4}, 3, 6, 3, {.padding = 1}};
  const Images of = images_of(s);
  Tensor stored = unwritten({4, 5, 3, 2});
  copy_into(stored.permute({3, 1, 0, 2}), of.x);
  CHECK(to_doubles(convolution(stored.permute({3, 1, 0, 2}), of.w, s.options)) ==
        to_doubles(convolution(of.x, of.w, s.options)));
  Tensor flat = filled({200}, 7);
  const Tensor out = flat.slice(0, 11, 11 + 162).reshape(s.w_shape());
  const std::uint64_t version = flat.version();
  convolution_weight(of.x, of.y, s.kernel, s.options, {out});
  CHECK(flat.version() == version + 1);
  CHECK(to_doubles(out) == to_doubles(convolution_weight(of.x, of.y, s.kernel, s.options)));
  const std::vector<float> all = flat.to_vector<float>();
  CHECK(std::count(all.begin(), all.end(), 7.0f) == 38);
}

TEST_CASE("convolution: nothing to sum leaves bias, start or zeros") {
  const Tensor bias = rough({2});
  const Tensor x = unwritten({1, 2, 2, 0}), w = unwritten({2, 1, 1, 0});
  const std::vector<double> b = to_doubles(bias);
  CHECK(to_doubles(convolution(x, w, {}, {bias})) ==
        std::vector<double>{b[0], b[1], b[0], b[1], b[0], b[1], b[0], b[1]});
  CHECK(convolution(unwritten({0, 5, 5, 3}), rough({4, 3, 3, 3})).shape() == Shape{0, 3, 3, 4});
  const Tensor nothing = unwritten({0, 3, 3, 2}), held = rough({2, 3, 3, 2});
  const std::vector<double> before = to_doubles(held);
  const Tensor g = unwritten({0, 1, 1, 2});
  CHECK(to_doubles(convolution_weight(nothing, g, 3)) == std::vector<double>(36, 0.0));
  convolution_weight(nothing, g, 3, {}, {held, true});
  CHECK(to_doubles(held) == before);
  // A pixel that no tap meets.
  const Tensor apart =
      transposed_convolution(rough({1, 2, 2, 1}), rough({1, 1, 1, 1}), {.stride = 2});
  CHECK(apart.shape() == Shape{1, 3, 3, 1});
  CHECK(to_doubles(apart)[4] == 0);
}

TEST_CASE("convolution: meta allocates and logs the same and computes nothing") {
  const ConvolutionSizes s{2, {8, 8}, 3, 20, 4, {.stride = 2, .padding = 1}};
  const Images of = images_of(s);
  const auto meta = [](const Tensor& x) {
    return Tensor::empty(x.shape(), x.dtype(), Device::meta);
  };
  const Images shapes{meta(of.x), meta(of.w), meta(of.y)};
  for (const Direction direction : directions) {
    const auto peak = [&](Device device, const Images& images) {
      Allocator& allocator = allocator_of(device);
      allocator.reset_peaks();
      const std::size_t before = allocator.counters().in_use;
      run(direction, s, images);
      return allocator.counters().peak_in_use - before;
    };
    const LaunchLog log;
    CHECK(peak(device_under_test(), of) == peak(Device::meta, shapes));
    REQUIRE(log.launches().size() == 2);
    CHECK(std::string(log.launches()[0].kernel) == log.launches()[1].kernel);
    CHECK(log.launches()[1].flops == 2.0 * (2 * 4 * 4 * 20) * (4 * 4 * 3));
  }
}

TEST_CASE("convolution: messages") {
  const Tensor x = rough({2, 5, 6, 4}), w = rough({8, 3, 3, 4});
  CHECK(message([&] { convolution(x.slice(1, 0, 1).squeeze(1), w); }) ==
        "convolution: x is [2, 6, 4]. Give images as [batch, height, width, channels].");
  CHECK(message([&] { convolution(Tensor(), w); }) ==
        "convolution: x is undefined. Give images as [batch, height, width, channels].");
  CHECK(
      message([&] {
        convolution(x, rough({8, 4}));
      }) ==
      "convolution: the weight is [8, 4]. Give [out, rows, columns, in / groups], transposed [in, "
      "rows, columns, out / groups].");
  CHECK(message([&] {
          convolution(x, rough({8, 3, 3, 2}));
        }) ==
        "convolution: channels do not fit: x is [2, 5, 6, 4], the weight [8, 3, 3, 2] takes 2 in "
        "each of 1 groups, 2 together, and makes 8. Check the layer's `in`, `out` and groups.");
  CHECK(message([&] {
          convolution(x, rough({8, 3, 3, 1}), {.groups = 3});
        }) ==
        "convolution: channels do not fit: x is [2, 5, 6, 4], the weight [8, 3, 3, 1] takes 1 in "
        "each of 3 groups, 3 together, and makes 8. Check the layer's `in`, `out` and groups.");
  CHECK(message([&] {
          convolution(x, rough({8, 9, 3, 4}), {.padding = {1, 0}});
        }) ==
        "convolution: the image is smaller than the kernel: 5 rows and 2 of padding make 7, 9 taps "
        "at dilation 1 reach over 9. Pad more, or take a smaller kernel.");
  CHECK(message([&] {
          convolution(x, w, {.dilation = {1, 4}});
        }) ==
        "convolution: the image is smaller than the kernel: 6 columns and 0 of padding make 6, 3 "
        "taps at dilation 4 reach over 9. Pad more, or take a smaller kernel.");
  CHECK(message([&] {
          convolution(x, unwritten({8, 0, 3, 4}));
        }) == "convolution: the kernel has 0 rows. It needs one at least.");
  CHECK(message([&] {
          convolution(x, w, {.stride = {1, 0}});
        }) == "convolution: stride 1 x 0, dilation 1 x 1, groups 1. Each must be 1 or more.");
  CHECK(message([&] {
          convolution(x, w, {.padding = {1, -1, 0, 0}});
        }) ==
        "convolution: the padding is 1 above, -1 below, 0 left, 0 right. None may be negative; cut "
        "the image instead.");
  CHECK(message([&] {
          convolution(x, rough({8, 3, 3, 4}, DType::f64));
        }) ==
        fmt::format("convolution: the images are f32 on {0}, the weight is f64 on {0}. Give them "
                    "one type and device.",
                    device_under_test()));
  CHECK(message([&] { convolution(cast(x, DType::i32), w); }) ==
        "convolution: x is i32. Cast it to a floating-point type.");
  CHECK(message([&] { convolution(x, w, {}, {rough({4})}); }) ==
        "convolution: the bias is [4], the result [2, 3, 4, 8]. Give one value a channel.");
  CHECK(message([&] {
          convolution(x, w, {}, {}, {filled({2, 3, 4, 9}, 0).slice(3, 0, 8)});
        }) ==
        "convolution: `out` has gaps: [2, 3, 4, 8] with strides [108, 36, 9, 1]. Give a contiguous "
        "tensor.");
}

TEST_CASE("convolution: messages of the gradients") {
  const Tensor x = rough({2, 5, 6, 4}), w = rough({8, 3, 3, 4}), g = rough({2, 3, 4, 8});
  CHECK(message([&] { transposed_convolution(x, w); }) ==
        "transposed_convolution: channels do not fit: x is [2, 5, 6, 4], the weight [8, 3, 3, 4] "
        "takes 8 in 1 groups. Check the layer's `in` and groups.");
  CHECK(message([&] { transposed_convolution(g, w, {.stride = 2}, 10); }) ==
        "transposed_convolution: an image of 10 x 10 becomes 4 x 4 by the convolution, but x has 3 "
        "x 4 pixels. Ask for an image that fits stride and padding.");
  CHECK(message([&] {
          transposed_convolution(rough({1, 1, 4, 8}), w, {.padding = 2});
        }) ==
        "transposed_convolution: nothing is left of the image: 3 x 6 pixels, less 2 + 2 rows and 2 "
        "+ 2 columns of padding. Pad less.");
  CHECK(
      message([&] { convolution_weight(x, g, 2); }) ==
      "convolution_weight: x is [2, 5, 6, 4], whose convolution has 4 x 5 pixels, but g is [2, 3, "
      "4, 8]. Give the gradient of that convolution.");
  CHECK(message([&] { convolution_weight(x, g, 3, {.groups = 3}); }) ==
        "convolution_weight: 4 channels of x and 8 of g do not divide into 3 groups.");
}

TEST_CASE("convolution: sizes whose products overflow are refused by name") {
  const Tensor x = rough({1, 5, 5, 2}), w = rough({2, 3, 3, 2}), point = rough({2, 1, 1, 2});
  const std::int64_t huge = std::int64_t{1} << 62, just = std::int64_t{1} << 31;
  const auto refused = [](const std::string& said) {
    return said.find("is out of range: no image, kernel, stride, padding") != std::string::npos;
  };
  CHECK(message([&] { convolution(x, w, {.dilation = huge}); }) ==
        "convolution: 4611686018427387904 x 4611686018427387904 is out of range: no image, kernel, "
        "stride, padding, dilation or number of groups is more than 2147483647. Check them.");
  for (const std::int64_t large : {huge, just, std::numeric_limits<std::int64_t>::max()})
    for (const ConvolutionOptions& how :
         {ConvolutionOptions{.stride = {1, large}}, ConvolutionOptions{.padding = {0, large}},
          ConvolutionOptions{.dilation = large}, ConvolutionOptions{.groups = large}}) {
      CHECK(refused(message([&] { convolution(x, w, how); })));
      CHECK(refused(message([&] { convolution(x, point, how); })));
      CHECK(refused(message([&] { transposed_convolution(x, w, how); })));
      CHECK(refused(message([&] { convolution_weight(x, x, 3, how); })));
    }
  CHECK(refused(message([&] { transposed_convolution(x, w, {}, huge); })));
  CHECK(refused(message([&] { convolution_weight(x, x, huge); })));
  CHECK(convolution(x, point, {.stride = just - 1, .dilation = just - 1}).numel() == 2);
}

TEST_CASE("convolution: tf32 is never silently f32" * cpu_only) {
  choose_products(Products::tf32);
  const std::string said = message([] { convolution(rough({1, 3, 3, 1}), rough({1, 3, 3, 1})); });
  choose_products(Products::f32);
  CHECK(
      said ==
      "convolution: tf32 needs the device cuda: the operands are on cpu. Move them there, or take "
      "--precision f32.");
}
