// Pooling against plain loops over every window.
#include "kernels/pool.h"

#include <doctest/doctest.h>

#include "tests/device.h"
#include "tests/kernels/tools.h"

using namespace likely;
using namespace likely::kernels;

namespace {

struct ExpectedPools {
  std::vector<double> max, tap, sum, spread, placed;  // spread and placed: of max
};

ExpectedPools reference_of(const Tensor& x, const PoolOptions& o, const Shape& windows) {
  const auto values = to_doubles(x);
  ExpectedPools e;
  e.spread = e.placed = std::vector<double>(values.size());
  for (std::int64_t b = 0; b < windows[0]; ++b)
    for (std::int64_t i = 0; i < windows[1]; ++i)
      for (std::int64_t j = 0; j < windows[2]; ++j)
        for (std::int64_t c = 0; c < windows[3]; ++c) {
          double max = -HUGE_VAL, sum = 0, tap = -1;
          std::vector<std::size_t> inside;
          std::size_t best = 0;
          for (std::int64_t r = 0; r < o.kernel.rows; ++r)
            for (std::int64_t s = 0; s < o.kernel.columns; ++s) {
              const std::int64_t y = i * o.stride.rows + r - o.padding.top;
              const std::int64_t z = j * o.stride.columns + s - o.padding.left;
              if (y < 0 || y >= x.size(1) || z < 0 || z >= x.size(2))
                continue;
              const auto at =
                  static_cast<std::size_t>(((b * x.size(1) + y) * x.size(2) + z) * x.size(3) + c);
              inside.push_back(at);
              sum += values[at];
              if (values[at] > max) {
                max = values[at];
                tap = static_cast<double>(r * o.kernel.columns + s);
                best = at;
              }
            }
          e.max.push_back(max);
          e.tap.push_back(tap);
          e.sum.push_back(sum);
          for (const std::size_t at : inside)
            e.spread[at] += max;
          e.placed[best] += max;
        }
  return e;
}

}  // namespace

TEST_CASE("pool: maxima, sums and their adjoints agree with plain loops") {
  struct Example {
    Shape x;
    PoolOptions options;
    Pixels windows;
  };
  const Example examples[] = {{{2, 4, 6, 5}, {}, {2, 3}},
                              {{2, 5, 7, 16}, {}, {2, 3}},  // a row and a column are left over
                              {{1, 7, 9, 3}, {3, 2, 1}, {4, 5}},
                              {{3, 5, 4, 9}, {{3, 2}, {1, 2}, {2, 1, 0, 1}}, {6, 2}},
                              {{2, 5, 5, 300}, {1, 3}, {2, 2}}};
  for (const DType dtype : {DType::f32, DType::f64, DType::bf16})
    for (const auto& [shape, options, windows] : examples) {
      INFO(fmt::format("{} {}", dtype, shape));
      const Tensor x = rough(shape, dtype);
      const Shape out{shape[0], windows.rows, windows.columns, shape[3]};
      const MaxPooled pooled = max_pool(x, options);
      REQUIRE(pooled.y.shape() == out);
      const ExpectedPools expected = reference_of(x, options, out);
      const double bar = dtype == DType::f64 ? 1e-13 : dtype == DType::f32 ? 1e-6 : 1e-2;
      CHECK(to_doubles(pooled.y) == expected.max);
      CHECK(to_doubles(cast(pooled.tap, DType::f64)) == expected.tap);
      CHECK(to_doubles(pool_sum(x, pooled.tap, options, 1)) == expected.max);
      CHECK(largest_error(to_doubles(pool_sum(x, {}, options, 1)), expected.sum) < bar);
      const Pixels image(shape[1], shape[2]);
      CHECK(largest_error(to_doubles(pool_spread(pooled.y, {}, options, image, 1)),
                          expected.spread) < bar);
      CHECK(largest_error(to_doubles(pool_spread(pooled.y, pooled.tap, options, image, 1)),
                          expected.placed) < bar);
    }
}

TEST_CASE("max_pool: of equals the first, and NaN before all") {
  const float n = NAN;
  const Tensor x = tensor({1, 2, 4, 1}, std::vector<float>{1, 1, 2, n, 1, 1, n, 3});
  const MaxPooled pooled = max_pool(x, {});
  CHECK(pooled.tap.to_vector<std::int32_t>() == std::vector<std::int32_t>{0, 1});
  CHECK(pooled.y.to_vector<float>()[0] == 1);
  CHECK(std::isnan(pooled.y.to_vector<float>()[1]));
}

TEST_CASE("pool: threads change no bit, views are copied, meta has shapes") {
  const Tensor x = rough({7, 12, 9, 20}).transpose(1, 2);
  const PoolOptions options{3, 2, 1};
  const auto all = [&] {
    const MaxPooled pooled = max_pool(x, options);
    return to_doubles(pool_spread(pooled.y, pooled.tap, options, {9, 12}, 1));
  };
  CHECK(on_threads(1, all) == on_threads(2, all));
  CHECK(to_doubles(max_pool(x, options).y) == to_doubles(max_pool(contiguous(x), options).y));
  const Tensor meta = Tensor::empty({2, 9, 8, 3}, DType::bf16, Device::meta);
  CHECK(max_pool(meta, options).y.shape() == Shape{2, 5, 4, 3});
  CHECK(max_pool(filled({0, 4, 4, 3}, 0), {}).y.shape() == Shape{0, 2, 2, 3});
}

TEST_CASE("pool: errors say what does not fit") {
  const Tensor x = filled({1, 4, 4, 2}, 0);
  CHECK(message([] {
          max_pool(filled({4, 4}, 0), {});
        }) == "max_pool: x is [4, 4], not [batch, height, width, channels]. Reshape it.");
  CHECK(message([] {
          max_pool(filled({1, 4, 4, 1}, 0, DType::i32), {});
        }) == "max_pool: i32 is not pooled: only floating-point types are. Use cast() first.");
  CHECK(message([&] {
          max_pool(x, {0, 2});
        }) == "max_pool: windows of 0 x 0, 2 x 2 apart, do not cover anything. Use 1 or more.");
  CHECK(message([&] {
          max_pool(x, {2, 2, 2});
        }) ==
        "max_pool: a padding of 2, 2, 2, 2 would leave windows of 2 x 2 without a pixel. Pad less "
        "than the window.");
  CHECK(message([&] {
          pool_sum(x, filled({1, 2, 2, 2}, 0), {}, 1);
        }) == "pool_sum: taps are f32 [1, 2, 2, 2], windows [1, 2, 2, 2]. Give those of max_pool.");
  CHECK(message([&] { pool_spread(x, {}, {}, 4, 1); }) ==
        "pool_spread: an image of 4 x 4 has windows [1, 2, 2, 2], but g is [1, 4, 4, 2].");
}

TEST_CASE("pool: of an image without pixels there is no largest, and a sum of 0") {
  for (const Shape& shape : {Shape{1, 0, 2, 1}, Shape{2, 3, 0, 4}, Shape{1, 0, 0, 1}}) {
    const Tensor x = filled(shape, 0);
    const PoolOptions padded{3, 1, {1, 2, 2, 1}};
    const Tensor sums = pool_sum(x, {}, padded, 1);
    CHECK(to_doubles(sums) == std::vector<double>(static_cast<std::size_t>(sums.numel()), 0.0));
    CHECK(message([&] { max_pool(x, padded); }).find("max_pool: an image without pixels") == 0);
    CHECK(max_pool(x, {}).y.numel() == 0);
  }
  CHECK(message([] {
          max_pool(filled({1, 0, 2, 1}, 0), {2, 2, 1});
        }) ==
        "max_pool: an image without pixels has no largest: x is [1, 0, 2, 1], its windows are [1, "
        "1, 2, 1]. Give images, or no padding.");
}

TEST_CASE("pool: the mean of equals is that value, and sizes that overflow are refused") {
  for (const DType dtype : {DType::f32, DType::f64})
    CHECK(to_doubles(pool_sum(filled({1, 7, 7, 2}, 1, dtype), {}, {7, 7}, 49)) ==
          std::vector<double>{1, 1});
  const std::int64_t huge = std::int64_t{1} << 62;
  for (const PoolOptions& how :
       {PoolOptions{huge, 1}, {2, huge}, {huge, 1, huge - 1}, {1 << 16, 1}})
    CHECK(message([&] {
            max_pool(filled({1, 2, 2, 1}, 0), how);
          }).find("is out of range") != std::string::npos);
}
