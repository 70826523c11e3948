// Reductions against plain loops in f64.
#include "kernels/reduce.h"

#include <doctest/doctest.h>

#include <cmath>

#include "tensor/allocator.h"
#include "tests/device.h"
#include "tests/kernels/tools.h"

using namespace likely;
using namespace likely::kernels;

namespace {

// Every axis set of a tensor of rank 3, by a loop over all elements.
std::vector<double> plainly(Reduction how, const Tensor& x, unsigned reduced) {
  Strides strides = Shape::filled(3, 0);
  std::int64_t size = 1, count = 1;
  for (int i = 2; i >= 0; --i)
    if (reduced >> i & 1) {
      count *= x.size(i);
    } else {
      strides[i] = size;
      size *= x.size(i);
    }
  std::vector<double> result(static_cast<std::size_t>(size),
                             how == Reduction::max ? -infinity : 0.0);
  const std::vector<double> values = to_doubles(x);
  for (std::int64_t i = 0, at = 0; i < x.size(0); ++i)
    for (std::int64_t j = 0; j < x.size(1); ++j)
      for (std::int64_t k = 0; k < x.size(2); ++k, ++at) {
        double& out = result[i * strides[0] + j * strides[1] + k * strides[2]];
        out = how == Reduction::max ? std::max(out, values[at]) : out + values[at];
      }
  if (how == Reduction::mean)
    for (double& value : result)
      value /= static_cast<double>(count);
  return result;
}

std::vector<int> axes_of(unsigned set) {
  std::vector<int> axes;
  for (int i = 0; i < 3; ++i)
    if (set >> i & 1)
      axes.push_back(i - 3);
  return axes;
}

}  // namespace

TEST_CASE("reduce: every set of axes, layout and type agrees with plain loops") {
  for (const DType dtype : {DType::f32, DType::f64, DType::bf16})
    for (const Shape& shape : {Shape{3, 35, 7}, Shape{2, 3, 300}, Shape{40, 1, 17}}) {
      const Tensor x = rough(shape, dtype);
      for (const Tensor& view : {x, x.transpose(), x.permute({1, 2, 0}), x.slice(2, 1, 6, 2)})
        for (unsigned set = 1; set < 8; ++set)
          for (const Reduction how : {Reduction::sum, Reduction::mean, Reduction::max}) {
            const Tensor y = reduce(how, view, axes_of(set));
            const auto expected = plainly(how, view, set), got = to_doubles(y);
            REQUIRE(got.size() == expected.size());
            const double bar = dtype == DType::f64 ? 1e-13 : dtype == DType::f32 ? 1e-6 : 4e-3;
            double worst = 0;
            for (std::size_t i = 0; i < got.size(); ++i)
              worst =
                  std::max(worst, std::abs(got[i] - expected[i]) / (10 + std::abs(expected[i])));
            CHECK(worst <= bar);
          }
    }
}

TEST_CASE("reduce: the error of a long sum stays at a few roundings") {
  const std::int64_t n = 1 << 22;
  const Tensor x = filled({n}, 0.1);
  const double exact = static_cast<double>(n) * static_cast<double>(0.1f);
  CHECK(std::abs(sum(x).item<double>() - exact) < 1e-6 * exact);  // one by one it is off by 3e-2
}

TEST_CASE("reduce: what is shared out in parts agrees with plain loops") {
  struct Long {
    Shape shape;
    int axis;
  };
  for (const auto& [shape, axis] :
       {Long{{3, 100003}, 1}, Long{{2, 3001, 3}, 1}, Long{{17000, 130}, 0}, Long{{2100000}, 0}}) {
    const Tensor x = rough(shape), sums = sum(x, {axis}), places = argmax(x, axis);
    const std::vector<double> values = to_doubles(x);
    const std::int64_t reduced = shape[axis], inner = axis == shape.rank() - 1 ? 1 : shape[-1];
    const auto got = to_doubles(sums);
    const auto at = places.to_vector<std::int64_t>();
    for (std::int64_t i = 0; i < sums.numel(); ++i) {
      const double* first = &values[i / inner * reduced * inner + i % inner];
      double sum = 0;
      std::int64_t place = 0;
      for (std::int64_t r = 0; r < reduced; ++r) {
        sum += first[r * inner];
        if (first[r * inner] > first[place * inner])
          place = r;
      }
      CHECK(got[i] == doctest::Approx(sum).epsilon(1e-6));
      CHECK(at[i] == place);
    }
  }
}

TEST_CASE("reduce: a row alone has the bits of the row in a batch") {
  for (const std::int64_t n : {3, 700, 5000, 40000}) {
    const Tensor x = rough({5, n});
    CHECK(sum(x, {1}).slice(0, 3, 4).to_vector<float>() ==
          sum(x.slice(0, 3, 4), {1}).to_vector<float>());
  }
}

TEST_CASE("reduce: NaN wins a maximum, infinities count") {
  const Tensor x = tensor({3, 2}, std::vector<float>{1, NAN, -infinity, -infinity, infinity, 3});
  const auto y = reduce(Reduction::max, x, {1}).to_vector<float>();
  CHECK(std::isnan(y[0]));
  CHECK(y[1] == -infinity);
  CHECK(y[2] == infinity);
  const auto columns = reduce(Reduction::max, x, {0}).to_vector<float>();
  CHECK(columns[0] == infinity);
  CHECK(std::isnan(columns[1]));
  Tensor late = filled({5000}, 1);
  fill(late.slice(0, 3000, 3001), NAN);
  CHECK(std::isnan(reduce(Reduction::max, late).item<float>()));
}

TEST_CASE("reduce: of no elements the sum is 0, the mean is NaN, a maximum throws") {
  const Tensor none = filled({2, 0, 3}, 0);
  CHECK(sum(none, {1}).to_vector<float>() == std::vector<float>(6, 0));
  CHECK(std::isnan(reduce(Reduction::mean, none).item<float>()));
  CHECK(reduce(Reduction::max, none, {0}).shape() == Shape{0, 3});
  CHECK(message([&] { reduce(Reduction::max, none, {1}); }) ==
        "max: there is no largest of no elements: the shape is [2, 0, 3].");
}

TEST_CASE("reduce: shapes with and without the reduced axes") {
  const Tensor x = rough({2, 3, 4});
  CHECK(sum(x).shape() == Shape{});
  CHECK(sum(x, {}, Keep::yes).shape() == Shape{1, 1, 1});
  CHECK(sum(x, {1}).shape() == Shape{2, 4});
  CHECK(sum(x, {-3, 2}, Keep::yes).shape() == Shape{1, 3, 1});
  CHECK(sum(scalar(2.f)).item<float>() == 2.f);
}

TEST_CASE("reduce: writes or adds into a given tensor, with gaps or without") {
  const Tensor x = filled({4, 3}, 2);
  Tensor flat = filled({6}, 1);
  sum(x, {0}, Keep::no, {flat.slice(0, 3, 6), true});
  CHECK(flat.to_vector<float>() == std::vector<float>{1, 1, 1, 9, 9, 9});
  sum(x, {0}, Keep::no, {flat.slice(0, 0, 6, 2), false});
  CHECK(flat.to_vector<float>() == std::vector<float>{8, 1, 8, 9, 8, 9});
  sum(x, {0}, Keep::no, {flat.slice(0, 1, 6, 2), true});
  CHECK(flat.to_vector<float>() == std::vector<float>{8, 9, 8, 17, 8, 17});
  CHECK(message([&] {
          sum(x, {1}, Keep::no, {flat, false});
        }) == fmt::format("sum: the given result is [6] f32 on {0}, needed is [4] f32 on {0}.",
                          device_under_test()));
}

TEST_CASE("sum_to: undoes a broadcast") {
  const Tensor x = rough({2, 3, 4});
  CHECK(to_doubles(sum_to(x, {3, 1})) == to_doubles(sum(x, {0, 2})));
  CHECK(sum_to(x, {3, 1}).shape() == Shape{3, 1});
  CHECK(sum_to(x, {2, 3, 4}).same_view(x));
  CHECK(sum_to(rough({1, 3}), {3}).shape() == Shape{3});
  CHECK(sum_to(x, {}).item<float>() == sum(x).item<float>());
  Tensor out = filled({3, 1}, 1);
  sum_to(filled({2, 3, 4}, 1), {3, 1}, {out, true});
  CHECK(to_doubles(out) == std::vector<double>{9, 9, 9});
  sum_to(filled({3, 1}, 1), {3, 1}, {out, true});
  CHECK(to_doubles(out) == std::vector<double>{10, 10, 10});
  CHECK(message([&] {
          sum_to(x, {2, 4});
        }) ==
        "sum_to: shapes do not broadcast: [2, 4] and [2, 3, 4]. Counted from the right, extents "
        "must be equal or 1.");
  CHECK(message([&] {
          sum_to(filled({1, 3}, 0), {2, 3});
        }) == "sum_to: [2, 3] does not stretch to [1, 3], so that has no sum over it.");
}

TEST_CASE("argmax: the first of the largest, NaN before all") {
  const Tensor x = tensor({3, 4}, std::vector<float>{1, 5, 5, 2,      //
                                                     3, NAN, 9, NAN,  //
                                                     -infinity, -infinity, -infinity, -infinity});
  CHECK(argmax(x, 1).to_vector<std::int64_t>() == std::vector<std::int64_t>{1, 1, 0});
  CHECK(argmax(x, 0).to_vector<std::int64_t>() == std::vector<std::int64_t>{1, 1, 1, 1});
  CHECK(argmax(contiguous(x.transpose()), -2).to_vector<std::int64_t>() ==
        std::vector<std::int64_t>{1, 1, 0});
  CHECK(argmax(cast(x, DType::bf16), 1).to_vector<std::int64_t>() ==
        std::vector<std::int64_t>{1, 1, 0});
}

TEST_CASE("reduce: on meta a sum over apart axes allocates what the CPU would") {
  const Tensor x = Tensor::empty({4, 5, 6}, DType::f32, Device::meta);
  const LaunchLog log;
  CHECK(sum(x, {0, 2}).shape() == Shape{5});
  REQUIRE(log.launches().size() == 2);  // the copy, then the sum
  CHECK(std::string(log.launches()[1].kernel) == "sum");
  CHECK(log.launches()[1].bytes == 4 * (120 + 5));
}

TEST_CASE("reduce: on meta the peak is the device's, workspace included") {
  const auto peak = [](Device device) {
    Allocator& allocator = allocator_of(device);
    const Tensor x = Tensor::empty({300, 3000}, DType::f32, device);
    if (!x.is_meta())
      fill(x, 1);
    const std::size_t before = allocator.counters().in_use;
    allocator.reset_peaks();
    for (const int axis : {0, 1}) {
      sum(x, {axis});
      argmax(x, axis);
    }
    sum(x);
    return allocator.counters().peak_in_use - before;
  };
  CHECK(peak(Device::meta) == peak(device_under_test()));
}

TEST_CASE("reduce: errors say what does not fit") {
  CHECK(message([] {
          sum(filled({2, 3}, 0), {2});
        }) == "sum: there is no axis 2 in [2, 3]. Axes run from -2 to 1.");
  CHECK(message([] { sum(filled({2, 3}, 0), {0, -2}); }) == "sum: axis -2 is named twice.");
  CHECK(message([] { sum(filled({2}, 0, DType::i64)); }) ==
        "sum: i64 is not reduced: only floating-point types are. Use cast() first.");
  CHECK(message([] {
          argmax(filled({2, 0}, 0), 1);
        }) == "argmax: there is no largest of no elements: the shape is [2, 0].");
}
