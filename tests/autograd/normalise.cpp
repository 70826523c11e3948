// Normalisation: the fast gradients against those of its definition, and what is kept for them.
#include <doctest/doctest.h>

#include "autograd/ops.h"
#include "kernels/copy.h"
#include "tensor/sequence.h"
#include "tests/device.h"

using namespace likely;

namespace {

Variable random_leaf(const Shape& shape, std::uint64_t seed) {
  Sequence numbers(seed);
  std::vector<double> values(static_cast<std::size_t>(shape.numel()));
  for (double& value : values)
    value = numbers.normal();
  return Variable::leaf(Tensor::of(shape, values, device_under_test()));
}

// The inputs: x, scale, shift, and an offset of each image.
void compare_with_definition(const std::function<Variable(const Variables&)>& f, const Shape& shape,
                             bool offset = false) {
  const TwiceDifferentiable twice;
  Variables inputs{random_leaf(shape, 1), random_leaf({shape[-1]}, 2), random_leaf({shape[-1]}, 3)};
  if (offset)
    inputs.push_back(random_leaf({shape[0], shape[-1]}, 5));
  const Variable y = f(inputs), g(random_leaf(shape, 4).value());
  const Variables fast = gradients(y, inputs, g), defined = gradients(y, inputs, g, Recorded::yes);
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    const auto a = kernels::to_doubles(fast[i].value()),
               b = kernels::to_doubles(defined[i].value());
    REQUIRE(a.size() == b.size());
    for (std::size_t j = 0; j < a.size(); ++j)
      CHECK(a[j] == doctest::Approx(b[j]).epsilon(1e-11));
  }
}

}  // namespace

TEST_CASE("batch_norm: fast gradients are those of the definition, for every activation") {
  for (const Activation activation : {Activation::none, Activation::relu, Activation::leaky_relu,
                                      Activation::tanh, Activation::sigmoid, Activation::silu}) {
    const kernels::Normalise how{1e-5, activation, 0.1};
    compare_with_definition([&](const Variables& v) { return batch_norm(v[0], v[1], v[2], how).y; },
                            {3, 4, 5, 6});
    compare_with_definition(
        [&](const Variables& v) { return instance_norm(v[0], v[1], v[2], how); }, {3, 9, 6});
    compare_with_definition(
        [&](const Variables& v) { return group_norm(v[0], v[1], v[2], 3, how); }, {3, 4, 5, 6});
    compare_with_definition(
        [&](const Variables& v) { return group_norm(v[0], v[1], v[2], 3, how, v[3]); },
        {3, 4, 5, 6}, true);
    const kernels::Moments given{random_leaf({6}, 8).value(),
                                 (square(random_leaf({6}, 9)) + 0.5).value()};
    compare_with_definition(
        [&](const Variables& v) { return batch_norm_by(v[0], given, v[1], v[2], how); }, {7, 6});
  }
}

TEST_CASE("group_norm: of [n, c] with a channel a group gives the shift") {
  const Variable x = random_leaf({3, 4}, 1), scale = random_leaf({4}, 2),
                 shift = random_leaf({4}, 3);
  const Variable offset = random_leaf({3, 4}, 5);
  for (const Variable& y :
       {group_norm(x, scale, shift, 4), group_norm(x, scale, shift, 4, {}, offset)}) {
    CHECK(kernels::to_doubles(y.value()) ==
          kernels::to_doubles(kernels::contiguous(shift.value().expand({3, 4}))));
    const Variables d = gradients(sum(y), {x, scale, shift});
    CHECK(kernels::to_doubles(d[0].value()) == std::vector<double>(12, 0));
    CHECK(kernels::to_doubles(d[1].value()) == std::vector<double>(4, 0));
    CHECK(kernels::to_doubles(d[2].value()) == std::vector<double>(4, 3));
  }
}

TEST_CASE("norms: scale and shift of bf16 have the type of the statistics, f32, in all of them") {
  const auto cast_leaf = [](const Shape& shape, std::uint64_t seed, DType dtype) {
    return Variable::leaf(kernels::cast(random_leaf(shape, seed).value(), dtype));
  };
  using Norm = std::function<Variable(const Variable&, const Variable&, const Variable&)>;
  const std::vector<std::pair<const char*, Norm>> norms{
      {"batch", [](auto& x, auto& a, auto& b) { return batch_norm(x, a, b).y; }},
      {"instance", [](auto& x, auto& a, auto& b) { return instance_norm(x, a, b); }},
      {"group", [](auto& x, auto& a, auto& b) { return group_norm(x, a, b, 2); }},
      {"layer", [](auto& x, auto& a, auto& b) { return layer_norm(x, a, b); }}};
  const Shape shape{3, 5, 6};
  const Variable x = cast_leaf(shape, 1, DType::bf16), scale = cast_leaf({6}, 2, DType::f32),
                 shift = cast_leaf({6}, 3, DType::f32);
  const Variable wide(kernels::cast(x.value(), DType::f64)),
      wide_scale(kernels::cast(scale.value(), DType::f64)),
      wide_shift(kernels::cast(shift.value(), DType::f64));
  for (const auto& [name, norm] : norms) {
    INFO(name);
    const Variable y = norm(x, scale, shift);
    CHECK(y.dtype() == DType::bf16);
    const auto found = kernels::to_doubles(y.value()),
               expected = kernels::to_doubles(norm(wide, wide_scale, wide_shift).value());
    for (std::size_t i = 0; i < found.size(); ++i)
      CHECK(std::abs(found[i] - expected[i]) <= 0x1p-8 * std::abs(expected[i]) + 1e-6);
    const Variables d =
        gradients(y, {x, scale, shift}, Variable(kernels::cast(x.value(), DType::bf16)));
    CHECK(d[0].dtype() == DType::bf16);
    CHECK(d[1].dtype() == DType::f32);
    CHECK(d[2].dtype() == DType::f32);
    for (const DType other : {DType::bf16, DType::f64})
      CHECK_THROWS_AS(norm(x, cast_leaf({6}, 2, other), shift), Error);
  }
  CHECK_THROWS_WITH_AS(
      layer_norm(x, cast_leaf({6}, 2, DType::bf16), shift),
      "layer_norm: the scale is bf16 [6], for x bf16 [3, 5, 6] it must be f32 [6].", Error);
}
