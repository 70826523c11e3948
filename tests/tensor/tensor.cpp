#include "tensor/tensor.h"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <numeric>

#include "tensor/allocator.h"

using namespace likely;

namespace {

// 0, 1, 2, …
Tensor counting(const Shape& shape) {
  std::vector<std::int32_t> values(static_cast<std::size_t>(shape.numel()));
  std::iota(values.begin(), values.end(), 0);
  return Tensor::of(shape, values);
}

using Values = std::vector<std::int32_t>;
Values values(const Tensor& tensor) { return tensor.to_vector<std::int32_t>(); }

// An element by its position, from the definition of strides alone.
std::int32_t element(const Tensor& tensor, const std::vector<std::int64_t>& at) {
  std::int64_t position = 0;
  for (std::size_t i = 0; i < at.size(); ++i)
    position += at[i] * tensor.strides()[static_cast<int>(i)];
  return tensor.data<std::int32_t>()[position];
}

void check_view(const Tensor& view, const Tensor& base, const Shape& shape, const Values& wanted) {
  CHECK(view.storage() == base.storage());
  CHECK(view.shape() == shape);
  CHECK(view.numel() == shape.numel());
  CHECK(view.dtype() == base.dtype());
  CHECK(values(view) == wanted);
}

}  // namespace

TEST_CASE("tensor: is made of values and gives them back") {
  const Tensor x = Tensor::of<float>({2, 3}, {1, 2, 3, 4, 5, 6});
  CHECK(x.dtype() == DType::f32);
  CHECK(x.device() == Device::cpu);
  CHECK(x.shape() == Shape{2, 3});
  CHECK(x.strides() == Strides{3, 1});
  CHECK(x.numel() == 6);
  CHECK(x.bytes() == 24);
  CHECK(x.contiguous());
  CHECK(x.to_vector<float>() == std::vector<float>{1, 2, 3, 4, 5, 6});
  CHECK(Tensor::scalar(2.5).item<double>() == 2.5);
  CHECK(Tensor::scalar(2.5).rank() == 0);
  CHECK(Tensor::scalar(bf16(1.5f)).item<float>() == 1.5f);
  CHECK(Tensor::scalar<std::uint8_t>(200).item<std::int64_t>() == 200);
  CHECK(x.slice(0, 1, 2).slice(1, 2, 3).item<double>() == 6);
  CHECK(Tensor::of({3, 0}, std::vector<double>{}).to_vector<double>().empty());
}

TEST_CASE("tensor: what it cannot give, it says") {
  const Tensor x = Tensor::of<float>({2}, {1, 2});
  CHECK_THROWS_WITH_AS(Tensor::of<float>({3}, {1, 2}),
                       "tensor: 2 values do not fill the shape [3].", Error);
  CHECK_THROWS_WITH_AS(x.data<double>(), "tensor: asked for f64 elements of a f32 tensor.", Error);
  CHECK_THROWS_WITH_AS(x.to_vector<double>(), "to_vector: asked for f64 elements of a f32 tensor.",
                       Error);
  CHECK_THROWS_WITH_AS(x.item<float>(), "item: a tensor of shape [2] has not one element.", Error);
  const Tensor undefined;
  CHECK(!undefined.defined());
  CHECK_THROWS_WITH_AS(undefined.raw(), "tensor: the tensor is undefined.", Error);
  CHECK_THROWS_WITH_AS(undefined.view({}, {}, 0), "view: the tensor is undefined.", Error);
  CHECK_THROWS_WITH_AS(Tensor::empty({1}, DType::f32, {Device::cuda, 3}),
                       "device: cuda:3 is not available in this program. `likely doctor` lists "
                       "what is.",
                       UsageError);
}

TEST_CASE("tensor: copies of the handle share the storage, and it goes with the last") {
  Allocator& allocator = allocator_of(Device::cpu);
  const std::size_t before = allocator.counters().in_use;
  {
    const Tensor x = Tensor::empty({1000});
    const Tensor y = x;
    CHECK(y.same_view(x));
    const Tensor view = y.slice(0, 1, 2);
    CHECK(!view.same_view(x));
    CHECK(allocator.counters().in_use == before + 4096);
  }
  CHECK(allocator.counters().in_use == before);
}

TEST_CASE("views: transpose and permute reorder axes") {
  const Tensor x = counting({2, 3});
  check_view(x.transpose(), x, {3, 2}, {0, 3, 1, 4, 2, 5});
  CHECK(!x.transpose().contiguous());
  CHECK(x.transpose().transpose(0, 1).same_view(x));

  const Tensor y = counting({2, 3, 4});
  const Tensor turned = y.permute({2, 0, -2});
  CHECK(turned.shape() == Shape{4, 2, 3});
  CHECK(turned.storage() == y.storage());
  for (std::int64_t i = 0; i < 4; ++i)
    for (std::int64_t j = 0; j < 2; ++j)
      for (std::int64_t k = 0; k < 3; ++k)
        CHECK(element(turned, {i, j, k}) == element(y, {j, k, i}));
  CHECK_THROWS_WITH_AS(y.permute({0, 1}), "permute: 2 axes for a tensor of shape [2, 3, 4].",
                       Error);
  CHECK_THROWS_WITH_AS(y.permute({0, 1, -2}), "permute: axis -2 is named twice.", Error);
  CHECK_THROWS_WITH_AS(y.transpose(0, 3),
                       "transpose: there is no axis 3 in [2, 3, 4]. Axes run from -3 to 2.", Error);
}

TEST_CASE("views: slice takes every step-th of an axis") {
  const Tensor x = counting({3, 4});
  check_view(x.slice(0, 1, 3), x, {2, 4}, {4, 5, 6, 7, 8, 9, 10, 11});
  check_view(x.slice(1, 1, 4, 2), x, {3, 2}, {1, 3, 5, 7, 9, 11});
  check_view(x.slice(-1, 0, 3, 2).slice(0, 0, 3, 2), x, {2, 2}, {0, 2, 8, 10});
  check_view(x.slice(1, 2, 2), x, {3, 0}, {});
  check_view(x.slice(0, 3, 3), x, {0, 4}, {});
  check_view(x.slice(1, 1, 4, std::numeric_limits<std::int64_t>::max()), x, {3, 1}, {1, 5, 9});
  CHECK(x.slice(0, 1, 3).contiguous());
  CHECK(!x.slice(1, 0, 2).contiguous());
  CHECK_THROWS_WITH_AS(x.slice(1, 2, 5),
                       "slice: [2, 5) in steps of 1 does not lie in axis 1 of [3, 4].", Error);
  CHECK_THROWS_AS(x.slice(1, -1, 2), Error);
  CHECK_THROWS_AS(x.slice(1, 2, 1), Error);
  CHECK_THROWS_AS(x.slice(1, 0, 2, 0), Error);
}

TEST_CASE("views: expand repeats without memory") {
  const Tensor x = counting({3, 1});
  const Tensor wide = x.expand({2, 3, 2});
  check_view(wide, x, {2, 3, 2}, {0, 0, 1, 1, 2, 2, 0, 0, 1, 1, 2, 2});
  CHECK(wide.strides() == Strides{0, 1, 0});
  CHECK(!wide.contiguous());
  check_view(x.expand({3, 0}), x, {3, 0}, {});
  const Tensor scalar = counting({});
  check_view(scalar.expand({2, 2}), scalar, {2, 2}, {0, 0, 0, 0});
  CHECK_THROWS_WITH_AS(x.expand({2, 2}),
                       "expand: [3, 1] does not stretch to [2, 2]: only extents of 1 do.", Error);
  CHECK_THROWS_WITH_AS(x.expand({3}), "expand: [3, 1] has more axes than [3].", Error);
}

TEST_CASE("views: squeeze and unsqueeze drop and add extents of 1") {
  const Tensor x = counting({2, 3});
  check_view(x.unsqueeze(1), x, {2, 1, 3}, values(x));
  check_view(x.unsqueeze(-1), x, {2, 3, 1}, values(x));
  CHECK(x.unsqueeze(0).squeeze(0).same_view(x));
  CHECK(x.transpose().unsqueeze(1).squeeze(1).same_view(x.transpose()));
  CHECK_THROWS_WITH_AS(x.squeeze(1), "squeeze: axis 1 of [2, 3] has not the extent 1.", Error);
}

TEST_CASE("views: reshape of a contiguous tensor") {
  const Tensor x = counting({2, 6});
  check_view(x.reshape({3, 4}), x, {3, 4}, values(x));
  check_view(x.reshape({-1}), x, {12}, values(x));
  check_view(x.reshape({2, -1, 3}), x, {2, 2, 3}, values(x));
  check_view(x.slice(0, 1, 2).reshape({3, 2}), x, {3, 2}, {6, 7, 8, 9, 10, 11});
  const Tensor one = counting({1});
  check_view(one.reshape({}), one, {}, {0});
  CHECK(counting({0, 3}).reshape({3, 0, 5}).shape() == Shape{3, 0, 5});
}

TEST_CASE("views: reshape cuts and joins strided axes where no gap lies between") {
  const Tensor x = counting({4, 6});
  // Every second row: rows stay whole, so they can be cut; the gap between rows can not be joined.
  const Tensor rows = x.slice(0, 0, 4, 2);
  check_view(rows.reshape({2, 2, 3}), x, {2, 2, 3}, values(rows));
  check_view(rows.reshape({2, 1, 6, 1}), x, {2, 1, 6, 1}, values(rows));
  CHECK_THROWS_WITH_AS(rows.reshape({12}),
                       "reshape: [2, 6] with strides [12, 1] cannot be seen as [12] without a "
                       "copy. Use contiguous() first.",
                       Error);
  CHECK_THROWS_AS(rows.reshape({4, 3}).reshape({3, 4}), Error);

  // A transposed tensor keeps its axes apart but lets each be cut.
  const Tensor turned = x.transpose();
  check_view(turned.reshape({2, 3, 2, 2}), x, {2, 3, 2, 2}, values(turned));
  CHECK_THROWS_AS(turned.reshape({24}), Error);

  // Every second column of a vector that joins: stride 2 throughout.
  const Tensor columns = x.slice(1, 0, 6, 2);
  check_view(columns.reshape({12}), x, {12}, values(columns));
  check_view(columns.reshape({2, 6}), x, {2, 6}, values(columns));

  // Expanded axes join with each other, not with real ones.
  const Tensor repeated = counting({3}).expand({2, 4, 3});
  check_view(repeated.reshape({8, 3}), repeated, {8, 3}, values(repeated));
  CHECK_THROWS_AS(repeated.reshape({2, 12}), Error);

  // Axes of extent 1 have any stride.
  const Tensor thin = x.slice(1, 2, 3);
  check_view(thin.reshape({2, 2}), x, {2, 2}, {2, 8, 14, 20});
  check_view(thin.reshape({1, 4}), x, {1, 4}, {2, 8, 14, 20});
}

TEST_CASE("views: a strided reshape is right wherever it is allowed") {
  // All slices and transpositions of [4, 2, 6] in a small family, to all shapes of three factors.
  const Tensor x = counting({4, 2, 6});
  int allowed = 0, refused = 0;
  for (const std::vector<int>& axes : {std::vector{0, 1, 2}, {0, 2, 1}, {1, 0, 2}, {2, 1, 0}})
    for (const std::int64_t step : {1, 2})
      for (int axis = 0; axis < 3; ++axis) {
        const Tensor view = x.slice(axis, 0, x.size(axis), step).permute(axes);
        for (std::int64_t a = 1; a <= view.numel(); ++a)
          for (std::int64_t b = 1; a * b <= view.numel(); ++b) {
            if (view.numel() % (a * b) != 0)
              continue;
            try {
              const Tensor seen = view.reshape({a, b, view.numel() / (a * b)});
              ++allowed;
              REQUIRE(seen.storage() == x.storage());
              REQUIRE(values(seen) == values(view));
            } catch (const Error&) {
              ++refused;
            }
          }
      }
  CHECK(allowed > 100);
  CHECK(refused > 100);
}

TEST_CASE("views: a reshape to another number of elements throws") {
  const Tensor x = counting({2, 3});
  CHECK_THROWS_WITH_AS(x.reshape({4}), "reshape: [2, 3] has 6 elements, [4] has 4.", Error);
  CHECK_THROWS_WITH_AS(x.reshape({-1, 4}), "reshape: [2, 3] does not divide into [-1, 4].", Error);
  CHECK_THROWS_WITH_AS(x.reshape({-1, -1}), "reshape: more than one -1 in [-1, -1].", Error);
  CHECK_THROWS_WITH_AS(x.reshape({-2, -3}), "shape: a negative extent in [-2, -3].", Error);
  CHECK_THROWS_AS(x.reshape({-1, std::int64_t{1} << 62, 4}), Error);
  CHECK_THROWS_AS(counting({0}).reshape({-1, 0}), Error);
}

TEST_CASE("views: view places any strides and stays inside the storage") {
  const Tensor x = counting({6});
  check_view(x.view({2, 2}, {3, 1}, 1), x, {2, 2}, {1, 2, 4, 5});
  check_view(x.view({3}, {-2}, 5), x, {3}, {5, 3, 1});
  // The storage's block is larger, but only its six elements may be seen.
  CHECK_THROWS_WITH_AS(x.view({2, 3}, {3, 1}, 1),
                       "view: [2, 3] with strides [3, 1] from 1 leaves its storage of 6 elements.",
                       Error);
  CHECK_THROWS_AS(x.view({2}, {-1}, 0), Error);
  CHECK_THROWS_WITH_AS(x.view({2, 3}, {1}, 0), "view: [2, 3] axes with [1] strides.", Error);
}

TEST_CASE("views: strides and offsets that overflow are refused") {
  const Tensor x = counting({6});
  constexpr std::int64_t half = std::int64_t{1} << 62, most = INT64_MAX, least = INT64_MIN;
  CHECK_THROWS_WITH_AS(x.view({5}, {half}, 0),
                       "view: [5] with strides [4611686018427387904] from 0 leaves its storage of "
                       "6 elements.",
                       Error);
  CHECK_THROWS_AS(x.view({3}, {half}, 0), Error);  // 2 · 2^62 is -2^63, and 4 · 2^62 is 0
  CHECK_THROWS_AS(x.view({2, 2, 2}, {half, half, most}, 0), Error);
  CHECK_THROWS_AS(x.view({2, 2, 2}, {half, half, half}, 0), Error);
  CHECK_THROWS_AS(x.view({2, 2}, {most, 1}, 5), Error);
  CHECK_THROWS_AS(x.view({2, 3}, {least, least}, 0), Error);
  CHECK_THROWS_AS(x.view({2}, {1}, most), Error);
  CHECK_THROWS_AS(x.view({2}, {1}, least), Error);
  CHECK_THROWS_AS(x.view({0, 5}, {1, half}, 0),
                  Error);  // nothing to see, but slices of it overflow
  CHECK_THROWS_AS(x.view({0}, {1}, half), Error);
  CHECK(x.view({0, 5}, {1, 1}, 0).numel() == 0);
}

TEST_CASE("storage: its version counts writes, whichever view wrote") {
  Tensor x = counting({2, 3});
  CHECK(x.version() == 0);
  Tensor row = x.slice(0, 1, 2);
  const Values ten{10, 11, 12};
  row.copy_from_host(ten.data());
  CHECK(x.version() == 1);
  CHECK(row.version() == 1);
  CHECK(values(x) == Values{0, 1, 2, 10, 11, 12});
  x.storage()->written();
  CHECK(row.version() == 2);
  CHECK(Tensor().version() == 0);

  Tensor column = x.slice(1, 0, 1);
  CHECK_THROWS_WITH_AS(column.copy_from_host(ten.data()),
                       "copy_from_host: [2, 1] with strides [3, 1] is not contiguous.", Error);
  CHECK(x.version() == 2);

  Tensor planned = Tensor::empty({2}, DType::f32, Device::meta);
  planned.copy_from_host(ten.data());
  CHECK(planned.version() == 1);
}

TEST_CASE("tensor: to copies between devices, and is the tensor itself where it is there") {
  const Tensor x = counting({2, 3});
  CHECK(x.to(Device::cpu).same_view(x));
  CHECK(x.transpose().to(Device::cpu).same_view(x.transpose()));
  const Tensor there = x.to(Device::meta);
  CHECK(there.is_meta());
  CHECK(there.shape() == x.shape());
  CHECK(there.dtype() == x.dtype());
  CHECK_THROWS_WITH_AS(x.transpose().to(Device::meta),
                       "to: [3, 2] with strides [1, 3] is not contiguous. Use contiguous() first.",
                       Error);
}

TEST_CASE("meta: has shapes and views, and no values") {
  const Tensor x = Tensor::empty({4, 6}, DType::f64, Device::meta);
  CHECK(x.slice(0, 0, 4, 2).reshape({2, 2, 3}).shape() == Shape{2, 2, 3});
  const char* const message = "tensor: a meta tensor has a shape and no values.";
  CHECK_THROWS_WITH_AS(x.raw(), message, Error);
  CHECK_THROWS_WITH_AS(x.data<double>(), message, Error);
  CHECK_THROWS_WITH_AS(x.to_vector<double>(), message, Error);
  CHECK_THROWS_WITH_AS(x.to(Device::cpu), message, Error);
  CHECK_THROWS_WITH_AS(x.slice(0, 0, 1).slice(1, 0, 1).item<double>(), message, Error);
}

#ifdef LIKELY_FILL_FRESH_MEMORY
TEST_CASE("tensor: fresh memory reads as NaN, in reused blocks too") {
  for (int round = 0; round < 2; ++round) {
    for (const float value : Tensor::empty({100}).to_vector<float>())
      CHECK(std::isnan(value));
    for (const bf16 value : Tensor::empty({100}, DType::bf16).to_vector<bf16>())
      CHECK(std::isnan(static_cast<float>(value)));
    for (const double value : Tensor::empty({100}, DType::f64).to_vector<double>())
      CHECK(std::isnan(value));
    const Tensor written = Tensor::of(Shape{100}, std::vector<float>(100));
  }
}
#endif
