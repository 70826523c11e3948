// Convolutions by vendor libraries against f64, in all three directions.
#include <doctest/doctest.h>

#include "bench/convolution_layers.h"
#include "kernels/choice.h"
#include "kernels/convolution.h"
#include "tensor/allocator.h"
#include "tests/device.h"
#include "tests/kernels/convolution_problems.h"
#include "tests/kernels/vendor.h"

using namespace likely;
using namespace likely::kernels;

namespace {

// Of the zoo's, with few images: what the reference takes time for.
const ConvolutionSizes layers[] = {{2, 32, 3, 64, 4, halving},
                                   {2, 16, 64, 128, 4, halving},
                                   {2, {28, 27}, 1, 128, {1, 3}, {.padding = {0, 0, 3, 0}}},
                                   {2, 28, 64, 64, 1},
                                   {2, 16, 64, 64, 3, same},
                                   {1, 4, 512, 256, 3, same},
                                   {4, 4, 512, 100, 4}};

const char* name_of(Direction direction) {
  constexpr const char* names[] = {"forward", "data", "weight"};
  return names[static_cast<int>(direction)];
}

std::string text_of(const ConvolutionSizes& s, Direction direction) {
  const ConvolutionOptions& o = s.options;
  return fmt::format(
      "{}: {} images of {} x {}, {} to {} channels, kernel {} x {}, stride {} x {}, "
      "padding {} {} {} {}, dilation {} x {}, {} groups",
      name_of(direction), s.batch, s.image.rows, s.image.columns, s.in, s.out, s.kernel.rows,
      s.kernel.columns, o.stride.rows, o.stride.columns, o.padding.top, o.padding.bottom,
      o.padding.left, o.padding.right, o.dilation.rows, o.dilation.columns, o.groups);
}

std::int64_t terms_of(const ConvolutionSizes& s, Direction direction) {
  const std::int64_t taps = s.kernel.rows * s.kernel.columns;
  return direction == Direction::forward ? taps * s.in / s.options.groups
         : direction == Direction::data  ? taps * s.out / s.options.groups
                                         : s.batch * s.output().rows * s.output().columns;
}

template <class F>
Images each(const Images& of, F f) {
  return {f(of.x), f(of.w), f(of.y)};
}

Tensor run_in(const Precision& precision, Direction direction, const ConvolutionSizes& s,
              const Images& of) {
  choose_products(precision.products);
  const Tensor result = run(direction, s, of);
  choose_products(Products::f32);
  return result;
}

bool possible(const Precision& precision) {
  return precision.products == Products::f32 || on_cuda();
}

}  // namespace

TEST_CASE("vendor convolution: agrees with f64, whatever shape, direction and type") {
  const ByVendor vendor("convolution");
  if (!vendor.there())
    return;
  std::vector<ConvolutionSizes> sizes(std::begin(odd_convolutions), std::end(odd_convolutions));
  if (on_cuda())
    sizes.insert(sizes.end(), std::begin(layers), std::end(layers));
  for (const Precision& precision : precisions) {
    if (!possible(precision))
      continue;
    int all = 0, served = 0;
    double worst = 0;
    for (const ConvolutionSizes& s : sizes) {
      const Images of = images_of(s, precision.dtype);
      const Images exact = each(of, wide), large = each(of, magnitude);
      for (const Direction direction : directions)
        attempt([&] {
          INFO(precision.name << " " << text_of(s, direction));
          const Tensor expected = run(direction, s, exact), terms = run(direction, s, large);
          const LaunchLog log;
          const Tensor y = run_in(precision, direction, s, of);
          served += by_vendor(log);  // now: the check launches too
          INFO(std::string(log.launches().back().kernel));
          const double error = excess(precision, y, expected, terms, terms_of(s, direction));
          CHECK(error < 4);  // products of transformed tiles (Winograd) lose some digits
          worst = std::max(worst, error);
          ++all;
        });
    }
    MESSAGE(precision.name, ": the vendor served ", served, " of ", all, ", error at most ", worst,
            " of what rounding does");
    const ConvolutionSizes plain{2, 8, 16, 16, 3, same};
    const bool has = vendor_serves(
        precision, [&] { run(Direction::forward, plain, images_of(plain, precision.dtype)); });
    CHECK((has ? served * 2 > all : served == 0));
    CHECK((has || precision.dtype == DType::bf16 || precision.dtype == DType::f64));
  }
}

TEST_CASE("vendor convolution: the same bits every time") {
  const ByVendor vendor("convolution");
  if (!vendor.there())
    return;
  const ConvolutionSizes s{on_cuda() ? 64 : 2, 16, 64, 64, 3, same};
  for (const Precision& precision : precisions)
    for (const Direction direction : directions)
      if (possible(precision))
        attempt([&] {
          INFO(precision.name << " " << text_of(s, direction));
          const Images of = images_of(s, precision.dtype);
          const auto result = [&] { return to_doubles(wide(run_in(precision, direction, s, of))); };
          const std::vector<double> first = result();
          for (int i = 0; i < 3; ++i)
            CHECK((result() == first));
        });
}

TEST_CASE("vendor convolution: meta allocates and logs what the device does") {
  const ByVendor vendor("convolution");
  if (!vendor.there())
    return;
  const ConvolutionSizes s{4, 16, 64, 64, 3, same};
  const Images of = images_of(s);
  const Images nothing =
      each(of, [](const Tensor& x) { return Tensor::empty(x.shape(), x.dtype(), Device::meta); });
  Allocator &real = allocator_of(device_under_test()), &meta = allocator_of(Device::meta);
  for (const Direction direction : directions) {
    INFO(text_of(s, direction));
    real.reset_peaks();
    meta.reset_peaks();
    const std::size_t real_before = real.counters().in_use, meta_before = meta.counters().in_use;
    const LaunchLog log;
    run(direction, s, of);
    run(direction, s, nothing);
    CHECK(std::string(log.launches().at(0).kernel) == log.launches().at(1).kernel);
    CHECK(meta.counters().peak_in_use - meta_before == real.counters().peak_in_use - real_before);
  }
}

TEST_CASE("vendor convolution: fastest measures on the device and agrees") {
  const ByVendor vendor("convolution", "fastest");
  if (!vendor.there())
    return;
  const ConvolutionSizes s{4, 16, 32, 48, 3, same};
  for (const Precision& precision : precisions)
    for (const Direction direction : directions)
      if (possible(precision))
        attempt([&] {
          INFO(precision.name << " " << text_of(s, direction));
          const Images of = images_of(s, precision.dtype);
          const Tensor expected = run(direction, s, each(of, wide));
          const Tensor terms = run(direction, s, each(of, magnitude));
          const Tensor y = run_in(precision, direction, s, of);
          CHECK(excess(precision, y, expected, terms, terms_of(s, direction)) < 4);
        });
  INFO(remembered_choices());
  CHECK(remembered_choices().find("convolution weight f32 4x16x16 32/1") != std::string::npos);
}
