// Layouts of pointwise problems against an element-by-element walk, what is wanted, and messages.
#include "kernels/pointwise.h"

#include <doctest/doctest.h>

#include "tests/device.h"
#include "tests/kernels/tools.h"

using namespace likely;
using namespace likely::kernels;

namespace {

std::vector<std::uint32_t> bits_of_all(const Tensor& x) {
  const Tensor here = x.to(Device::cpu);
  const auto* words = reinterpret_cast<const std::uint32_t*>(here.data<float>());
  return {words, words + x.numel()};
}

}  // namespace

TEST_CASE("pointwise: strided, stretched and reversed inputs against an element-by-element walk") {
  const Tensor base = rough({6, 9, 40}), other = rough({40, 9, 6}, DType::f32, 7);
  const Tensor row = rough({40}, DType::f32, 8), column = rough({9, 1}, DType::f32, 9);
  const Tensor wide = rough({6, 18, 80}, DType::f32, 10);
  const Tensors layouts{base,
                        other.permute({2, 1, 0}),
                        row,
                        column,
                        scalar(0.4f),
                        rough({6, 1, 40}, DType::f32, 11),
                        rough({6, 1, 1}, DType::f32, 12),
                        wide.slice(1, 1, 18, 2).slice(2, 3, 43),
                        wide.slice(1, 0, 9).slice(2, 0, 80, 2),
                        base.view({6, 9, 40}, {360, -40, 1}, 320),
                        base.view({6, 9, 40}, {360, 40, -1}, 39)};
  const Shape shape{6, 9, 40};
  for (const auto& [dtype, bar] :
       {std::pair(DType::f32, 1e-6), {DType::bf16, 0x1p-7}, {DType::f64, 1e-14}})
    for (const Tensor& first : layouts)
      for (const Tensor& second : layouts) {
        // Types convert without losing the layout only where nothing converts.
        const Tensor a = dtype == DType::f32 ? first : cast(first, dtype);
        const Tensor b = dtype == DType::f32 ? second : cast(second, dtype);
        const Shape result = broadcast("test", a.shape(), b.shape());
        const auto x = to_doubles(a.expand(result)), y = to_doubles(b.expand(result));
        std::vector<double> difference(x.size());
        for (std::size_t j = 0; j < x.size(); ++j)
          difference[j] = x[j] - y[j];
        const Tensor z = pointwise(call(Subtract{}), {a, b});
        CHECK(z.shape() == result);
        CHECK(largest_error(to_doubles(z), difference) < bar);
        const Tensor g = cast(rough(result, DType::f64, 13), dtype);
        const auto weights = to_doubles(g);
        for (std::size_t j = 0; j < x.size(); ++j)
          difference[j] = weights[j] * y[j];
        const Tensors slopes = pointwise_gradients(call(Multiply{}), {a, b}, g, 1);
        CHECK(largest_error(to_doubles(slopes[0]), difference) < bar);
        CHECK(!slopes[1].defined());
      }
}

TEST_CASE("pointwise: bf16 views are read where they lie") {
  const Tensor x = rough({33, 70}, DType::bf16);
  for (const Tensor& view : {x.transpose(), x.slice(1, 1, 70, 3), x.slice(0, 2, 3).expand({9, 70})})
    CHECK(to_doubles(pointwise(call(Negate{}), {view})) ==
          to_doubles(pointwise(call(Negate{}), {contiguous(view)})));
}

TEST_CASE("pointwise: a gradient may be stretched, and only wanted results are made") {
  const Tensor x = rough({300, 70}), y = rough({70}, DType::f32, 2);
  const Tensor g = scalar(0.5f).expand({300, 70});
  const Tensors all = pointwise_gradients(call(Divide{}), {x, y}, g, 3);
  for (unsigned wanted = 0; wanted < 4; ++wanted) {
    const Tensors some = pointwise_gradients(call(Divide{}), {x, y}, g, wanted);
    REQUIRE(some.size() == 2);
    for (int i = 0; i < 2; ++i) {
      CHECK(some[i].defined() == (wanted >> i & 1));
      if (some[i].defined())
        CHECK(bits_of_all(some[i]) == bits_of_all(all[i]));
    }
  }
}

TEST_CASE("pointwise: no elements give no elements") {
  const Tensor x = unwritten({3, 0, 2}), y = rough({2});
  CHECK(pointwise(call(Add{}), {x, y}).shape() == Shape{3, 0, 2});
  CHECK(pointwise_gradients(call(Add{}), {x, y}, x, 3)[1].shape() == Shape{3, 0, 2});
  CHECK(pointwise_second(call(Add{}), {x, y}, x, {x, Tensor{}}, 7)[2].shape() == Shape{3, 0, 2});
}

TEST_CASE("pointwise: meta allocates and logs what the device would, and computes nothing") {
  const Device meta{Device::meta};
  const Tensor x = Tensor::empty({4, 5}, DType::f32, meta);
  const Tensor y = Tensor::empty({5}, DType::f32, meta);
  const LaunchLog log;
  const Tensors slopes = pointwise_gradients(call(Multiply{}), {x, y}, x, 2);
  CHECK(slopes[1].is_meta());
  CHECK(slopes[1].shape() == Shape{4, 5});
  REQUIRE(log.launches().size() == 1);
  CHECK(std::string(log.launches()[0].kernel) == "multiply");
  CHECK(log.launches()[0].bytes == 4 * (20 + 5 + 20 + 20));
}

TEST_CASE("pointwise: threads, layout and what else is wanted change no bit") {
  const Tensor x = rough({700, 301}), y = rough({700, 301}, DType::f32, 2);
  const Tensor g = rough({700, 301}, DType::f32, 3);
  const auto run = [&](const Tensor& a, const Tensor& b, unsigned wanted) {
    const Tensors slopes = pointwise_gradients(call(GatedTanh{}), {a, b}, g, wanted);
    return std::pair(bits_of_all(pointwise(call(GatedTanh{}), {a, b})), bits_of_all(slopes[0]));
  };
  set_threads(1);
  const auto one = run(x, y, 3);
  const auto strided = run(contiguous(x.transpose()).transpose(), y, 1);
  set_threads(2);
  CHECK(run(x, y, 3) == one);
  CHECK(strided == one);
}

TEST_CASE("pointwise: messages") {
  const Tensor x = rough({2, 3}), wide = rough({2, 3}, DType::f64);
  const Tensor whole = tensor<std::int64_t>({2}, {1, 2});
  CHECK(message([&] { pointwise(call(Add{}), {x}); }) == "add: takes 2 tensors: it got 1.");
  CHECK(message([&] { pointwise(call(Tanh{}), {Tensor{}}); }) == "tanh: an input is undefined.");
  CHECK(message([&] {
          pointwise(call(Add{}), {x, wide});
        }) == "add: types differ: f32 and f64. Use cast() first.");
  CHECK(message([&] { pointwise(call(Exp{}), {whole}); }) ==
        "exp: computes on floating-point numbers: it got i64. Use cast() first.");
  CHECK(message([&] {
          pointwise(call(Add{}), {x, rough({2})});
        }) ==
        "add: shapes do not broadcast: [2, 3] and [2]. Counted from the right, extents must be "
        "equal or 1.");
  CHECK(message([&] {
          pointwise(call(Add{}), {x, Tensor::empty({3}, DType::f32, {Device::meta})});
        }) == fmt::format("add: tensors of two devices: {} and meta. Use to() first.",
                          device_under_test()));
  CHECK(message([&] {
          pointwise_gradients(call(Tanh{}), {x}, rough({4, 2, 3}), 1);
        }) == "tanh: the gradient is [4, 2, 3] where the result is [2, 3].");
  CHECK(message([&] { pointwise_gradients(call(Tanh{}), {x}, x, 2); }) ==
        "tanh: bits 0b10 ask for more than 1 results.");
  CHECK(message([&] {
          pointwise_second(call(Add{}), {x, x}, x, {x}, 1);
        }) == "add: 1 directions for 2 inputs.");
  CHECK(message([&] { pointwise_second(call(Exp{}), {x}, x, {wide}, 1); }) ==
        "exp: types differ: f32 and f64. Use cast() first.");
}
