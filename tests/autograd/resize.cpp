// Changes of an image's size against where each pixel must go.
#include <doctest/doctest.h>

#include <functional>
#include <numeric>

#include "autograd/ops.h"
#include "kernels/copy.h"
#include "tests/device.h"

using namespace likely;

namespace {

using Doubles = std::vector<double>;

// 0, 1, 2, …
Variable counted(const Shape& shape) {
  Doubles values(static_cast<std::size_t>(shape.numel()));
  std::iota(values.begin(), values.end(), 0);
  return Variable(Tensor::of(shape, values, device_under_test()));
}
Doubles values_of(const Variable& x) { return kernels::to_doubles(x.value()); }

std::string message(const std::function<void()>& f) {
  try {
    f();
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

}  // namespace

TEST_CASE("upsample_nearest: a pixel becomes a block, block_sum adds it up again") {
  CHECK(values_of(upsample_nearest(counted({1, 2, 2, 1}), {2, 3})) ==
        Doubles{0, 0, 0, 1, 1, 1, 0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3, 2, 2, 2, 3, 3, 3});
  const Variable x = counted({3, 4, 5, 2});
  const Doubles sums = values_of(block_sum(upsample_nearest(x, {3, 2}), {3, 2}));
  for (std::size_t i = 0; i < sums.size(); ++i)
    CHECK(sums[i] == 6. * static_cast<double>(i));
}

TEST_CASE("pad: the image lies inside of the value") {
  CHECK(values_of(pad(counted({1, 1, 2, 2}), {1, 0, 0, 1}, -1)) ==
        Doubles{-1, -1, -1, -1, -1, -1, 0, 1, 2, 3, -1, -1});
}

TEST_CASE("pixel_shuffle: channels become pixels, the slowest stay channels") {
  // Channel c, row r, column s of the block are number 4 c + 2 r + s.
  CHECK(values_of(pixel_shuffle(counted({1, 1, 1, 8}), 2)) == Doubles{0, 4, 1, 5, 2, 6, 3, 7});
  const Variable x = counted({2, 3, 4, 12});
  const Variable shuffled = pixel_shuffle(x, {3, 2});
  CHECK(shuffled.shape() == Shape{2, 9, 8, 2});
  CHECK(values_of(pixel_unshuffle(shuffled, {3, 2})) == values_of(x));
}

TEST_CASE("resize: errors say what does not fit") {
  const Variable x = counted({1, 3, 4, 5});
  CHECK(message([&] { pad(counted({3}), 1); }) ==
        "pad: x is [3], not [batch, height, width, channels]. Reshape it.");
  CHECK(message([&] {
          pad(x, {0, -1, 2, 0});
        }) ==
        "pad: 0, -1, 2, 0 pixels cannot be put on top, bottom, left, right. Use slice to take some "
        "away.");
  CHECK(message([&] {
          upsample_nearest(x, {2, 0});
        }) == "upsample_nearest: 2 x 0 pixels are no block. Use 1 or more both ways.");
  CHECK(message([&] { block_sum(x, 2); }) ==
        "block_sum: 3 x 4 pixels are not made of blocks of 2 x 2. Pad or slice them.");
  CHECK(message([&] { pixel_shuffle(x, 2); }) ==
        "pixel_shuffle: 5 channels are not made of blocks of 2 x 2.");
  const std::int64_t huge = std::int64_t{1} << 32;
  for (const auto& f : std::vector<std::function<void()>>{
           [&] { pixel_shuffle(x, huge); }, [&] { pixel_unshuffle(x, huge); },
           [&] { pixel_shuffle(x, 1 << 16); },
           [&] {
             upsample_nearest(x, {1, huge});
           },
           [&] { block_sum(x, huge); }, [&] { pad(x, huge << 30); }})
    CHECK(message(f).find("is out of range: no image, kernel") != std::string::npos);
  CHECK(message([&] { pixel_unshuffle(x, 2); }) ==
        "pixel_unshuffle: 3 x 4 pixels are not made of blocks of 2 x 2. Pad or slice them.");
}
