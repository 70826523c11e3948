// Copies, casts and fills against an element-by-element walk.
#include "kernels/copy.h"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <numeric>

#include "kernels/reduce.h"
#include "tests/device.h"
#include "tests/kernels/tools.h"

using namespace likely;
using namespace likely::kernels;

namespace {

Tensor counting(const Shape& shape) {
  std::vector<float> values(static_cast<std::size_t>(shape.numel()));
  std::iota(values.begin(), values.end(), 0.f);
  return tensor(shape, values);
}

std::vector<double> doubles(const std::vector<float>& x) { return {x.begin(), x.end()}; }

}  // namespace

TEST_CASE("copy: any permutation of the axes arrives in row-major order") {
  const Tensor x = counting({5, 37, 3, 70});
  for (const std::vector<int>& axes : std::vector<std::vector<int>>{
           {0, 1, 2, 3}, {3, 2, 1, 0}, {0, 1, 3, 2}, {2, 0, 3, 1}, {1, 3, 0, 2}}) {
    const Tensor view = x.permute(axes);
    const Tensor out = contiguous(view);
    CHECK(out.contiguous());
    CHECK(out.to_vector<float>() == on_cpu(view).to_vector<float>());
    CHECK(to_doubles(view) == doubles(on_cpu(view).to_vector<float>()));
  }
}

TEST_CASE("copy: strided, reversed and stretched sources into strided destinations") {
  const Tensor x = counting({6, 10});
  Tensor base = filled({4, 3, 10, 2}, 0);
  const Tensor out = base.slice(3, 1, 2).squeeze(3).permute({1, 0, 2});  // [3, 4, 10]
  const Tensor backwards = x.view({4, 10}, {10, -1}, 9);
  copy_into(out, backwards);
  const Tensor expected = on_cpu(backwards).expand({3, 4, 10});
  CHECK(on_cpu(out).to_vector<float>() == expected.to_vector<float>());
  add_into(out, x.slice(0, 0, 1));
  CHECK(on_cpu(out).to_vector<float>()[11] == 18.f + 1.f);
  CHECK(on_cpu(base.slice(3, 0, 1)).to_vector<float>() == std::vector<float>(120, 0.f));
}

TEST_CASE("copy: a large transpose has the same values on one and on two threads") {
  const Tensor x = counting({515, 1030});
  const auto copied = [&] { return contiguous(x.transpose()).to_vector<float>(); };
  const auto expected = on_cpu(x.transpose()).to_vector<float>();
  CHECK(on_threads(1, copied) == expected);
  CHECK(on_threads(2, copied) == expected);
}

TEST_CASE("copy: nothing is copied where nothing changes") {
  const Tensor x = counting({2, 3});
  CHECK(contiguous(x).same_view(x));
  CHECK(cast(x, DType::f32).same_view(x));
  CHECK_FALSE(contiguous(x.transpose()).same_view(x));
}

TEST_CASE("cast: between all types, small integers survive") {
  const std::vector<float> values{0, 1, 2, 100, 127};
  for (const DType from : {DType::f32, DType::f64, DType::bf16, DType::i64, DType::i32, DType::u8})
    for (const DType to :
         {DType::f32, DType::f64, DType::bf16, DType::i64, DType::i32, DType::u8}) {
      const Tensor y = cast(cast(tensor({5}, values), from), to);
      CHECK(y.dtype() == to);
      CHECK(to_doubles(y) == doubles(values));
    }
}

TEST_CASE("cast: floating point to integer truncates, saturates, and takes NaN to 0") {
  const float inf = std::numeric_limits<float>::infinity();
  const Tensor x = tensor({8}, std::vector<float>{-1.9f, 1.9f, 255.f, 300.f, 3e9f, -inf, inf, NAN});
  CHECK(cast(x, DType::u8).to_vector<std::uint8_t>() ==
        std::vector<std::uint8_t>{0, 1, 255, 255, 255, 0, 255, 0});
  constexpr auto low = std::numeric_limits<std::int32_t>::min(),
                 high = std::numeric_limits<std::int32_t>::max();
  CHECK(cast(x, DType::i32).to_vector<std::int32_t>() ==
        std::vector<std::int32_t>{-1, 1, 255, 300, high, low, high, 0});
  CHECK(cast(cast(x, DType::f64), DType::i64).to_vector<std::int64_t>() ==
        std::vector<std::int64_t>{-1, 1, 255, 300, 3000000000,
                                  std::numeric_limits<std::int64_t>::min(),
                                  std::numeric_limits<std::int64_t>::max(), 0});
  CHECK(
      cast(tensor({2}, std::vector<std::int64_t>{-1, 258}), DType::u8).to_vector<std::uint8_t>() ==
      std::vector<std::uint8_t>{255, 2});
}

TEST_CASE("cast: f32 to bf16 rounds to nearest even") {
  const Tensor x = tensor({3}, std::vector<float>{1.00390625f, 1.01171875f, 1.0040f});
  CHECK(to_doubles(cast(x, DType::bf16)) == std::vector<double>{1.0, 1.015625, 1.0078125});
}

TEST_CASE("add_into: adds in the wider of the two types") {
  Tensor out = filled({3}, 1, DType::f64);
  add_into(out, filled({3}, 0.5, DType::bf16));
  add_into(out, filled({1}, 0.25));
  CHECK(to_doubles(out) == std::vector<double>{1.75, 1.75, 1.75});
}

TEST_CASE("fill: reaches the view and nothing else") {
  Tensor x = counting({3, 4});
  fill(x.slice(1, 1, 3), -1);
  CHECK(x.to_vector<float>() == std::vector<float>{0, -1, -1, 3, 4, -1, -1, 7, 8, -1, -1, 11});
  CHECK(filled({}, 7, DType::i64).item<std::int64_t>() == 7);
  CHECK(filled({0, 3}, 0).numel() == 0);
}

TEST_CASE("copy: a write moves the version of the storage") {
  Tensor x = filled({2}, 0);
  const auto before = x.version();
  copy_into(x, filled({2}, 1));
  CHECK(x.version() > before);
}

TEST_CASE("concatenate: joins along any axis") {
  const Tensor a = counting({2, 2}), b = counting({3, 2}).transpose();  // [2, 3]: 0 2 4 / 1 3 5
  CHECK(concatenate({a, b}, 1).to_vector<float>() ==
        std::vector<float>{0, 1, 0, 2, 4, 2, 3, 1, 3, 5});
  CHECK(concatenate({a, a, counting({0, 2})}, -2).shape() == Shape{4, 2});
}

TEST_CASE("copy: on meta a copy has a shape and costs its bytes") {
  const Tensor x = Tensor::empty({8, 4}, DType::f32, Device::meta);
  const LaunchLog log;
  const Tensor y = cast(x.transpose(), DType::bf16);
  CHECK(y.is_meta());
  CHECK(y.shape() == Shape{4, 8});
  REQUIRE(log.launches().size() == 1);
  CHECK(log.launches()[0].bytes == 32 * (4 + 2));
}

TEST_CASE("copy: errors say what does not fit") {
  Tensor out = filled({2, 3}, 0);
  CHECK(message([&] { copy_into(out, filled({4}, 0)); }) ==
        "copy_into: shapes do not broadcast: [4] and [2, 3]. Counted from the right, extents must "
        "be equal or 1.");
  CHECK(message([&] { copy_into(filled({3}, 0), out); }) ==
        "copy_into: the source is larger than the destination: [2, 3] into [3]. Only the source is "
        "stretched.");
  CHECK(message([&] {
          copy_into(filled({3}, 0).expand({2, 3}), out);
        }) ==
        "copy_into: the destination is a view in which elements lie on top of each other: [2, 3] "
        "with strides [0, 1]. Give the tensor before expand() or view().");
  CHECK(message([&] { add_into(filled({2}, 0, DType::i64), filled({2}, 0)); }) ==
        "add_into: f32 into i64: only floating-point types add. Use cast() first.");
  CHECK(message([&] {
          concatenate({filled({2, 3}, 0), filled({3, 2}, 0)}, 0);
        }) ==
        "concatenate: shapes differ in another axis than 0: [2, 3] and [3, 2]. Make the rest "
        "equal.");
  CHECK(message([&] {
          concatenate({filled({2}, 0), filled({2}, 0, DType::f64)}, 0);
        }) == "concatenate: types differ: f32 and f64. Use cast() first.");
  CHECK(message([&] { copy_into(filled({2}, 0), Tensor::empty({2}, DType::f32, Device::meta)); }) ==
        fmt::format("copy_into: tensors of two devices: meta into {}. Use to() first.",
                    device_under_test()));
}

TEST_CASE("copy: between views of one storage that have elements in common it is refused") {
  const Tensor x = rough({100000}), matrix = rough({4, 6});
  const auto refused = [](const std::string& said) {
    return said.find("source and destination share memory") != std::string::npos;
  };
  CHECK(message([&] { copy_into(x.slice(0, 1, 100000), x.slice(0, 0, 99999)); }) ==
        "copy_into: source and destination share memory: [99999] at 0 into [99999] at 1 of one "
        "storage. Copy the source first, with contiguous() or cast().");
  CHECK(refused(message([&] { add_into(x.slice(0, 0, 99999), x.slice(0, 1, 100000)); })));
  CHECK(refused(message([&] { copy_into(x, x.slice(0, 7, 8)); })));
  CHECK(refused(message([&] { copy_into(x.slice(0, 0, 12, 3), x.slice(0, 1, 9, 2)); })));
  CHECK(refused(
      message([&] { copy_into(matrix.slice(0, 0, 4).slice(1, 0, 4), matrix.slice(1, 2, 6)); })));
  CHECK(refused(message([&] {
    const Tensor square = matrix.slice(1, 0, 4);
    copy_into(square, square.transpose());
  })));
  CHECK(message([&] {
          sum(x.reshape({10, 10000}), {0}, Keep::no, {x.slice(0, 0, 10000)});
        }) ==
        "sum: the given result shares memory with what is reduced. Give it memory of its own.");
  CHECK(message([&] {
          copy_into(x.view({3, 3}, {1, 1}, 0), filled({3, 3}, 0));
        }) ==
        "copy_into: the destination is a view in which elements lie on top of each other: [3, 3] "
        "with strides [1, 1]. Give the tensor before expand() or view().");
}

TEST_CASE("copy: between views that lie between each other, and a tensor and itself, it copies") {
  const Tensor x = tensor({2, 6}, std::vector<float>{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11});
  copy_into(x.slice(1, 0, 6, 2), x.slice(1, 1, 6, 2));
  CHECK(to_doubles(x) == std::vector<double>{1, 1, 3, 3, 5, 5, 7, 7, 9, 9, 11, 11});
  copy_into(x.slice(1, 0, 3), x.slice(1, 3, 6));
  CHECK(to_doubles(x) == std::vector<double>{3, 5, 5, 3, 5, 5, 9, 11, 11, 9, 11, 11});
  copy_into(x, x);
  add_into(x, x);
  const Tensor many = filled({100000}, 1);
  add_into(many.slice(0, 0, 100000, 2), many.slice(0, 1, 100000, 2));
  CHECK(to_doubles(many.slice(0, 0, 4)) == std::vector<double>{2, 1, 2, 1});
  CHECK(to_doubles(x) == std::vector<double>{6, 10, 10, 6, 10, 10, 18, 22, 22, 18, 22, 22});
}
