// Normalisation: the fast gradients against those of its definition, and what is kept for them.
#include <doctest/doctest.h>

#include "autograd/ops.h"
#include "kernels/copy.h"
#include "tensor/sequence.h"
#include "tests/device.h"

using namespace likely;

namespace {

Variable leaf(const Shape& shape, std::uint64_t seed) {
  Sequence numbers(seed);
  std::vector<double> values(static_cast<std::size_t>(shape.numel()));
  for (double& value : values)
    value = numbers.normal();
  return Variable::leaf(Tensor::of(shape, values, device_under_test()));
}

// The inputs: x, scale, shift, and an offset of each image.
void compare(const std::function<Variable(const Variables&)>& f, const Shape& shape,
             bool offset = false) {
  const TwiceDifferentiable twice;
  Variables inputs{leaf(shape, 1), leaf({shape[-1]}, 2), leaf({shape[-1]}, 3)};
  if (offset)
    inputs.push_back(leaf({shape[0], shape[-1]}, 5));
  const Variable y = f(inputs), g(leaf(shape, 4).value());
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
    const kernels::Normalise how{1e-5, activation, 0.1f};
    compare([&](const Variables& v) { return batch_norm(v[0], v[1], v[2], how).y; }, {3, 4, 5, 6});
    compare([&](const Variables& v) { return instance_norm(v[0], v[1], v[2], how); }, {3, 9, 6});
    compare([&](const Variables& v) { return group_norm(v[0], v[1], v[2], 3, how); }, {3, 4, 5, 6});
    compare([&](const Variables& v) { return group_norm(v[0], v[1], v[2], 3, how, v[3]); },
            {3, 4, 5, 6}, true);
    const kernels::Moments given{leaf({6}, 8).value(), (square(leaf({6}, 9)) + 0.5).value()};
    compare([&](const Variables& v) { return batch_norm_by(v[0], given, v[1], v[2], how); },
            {7, 6});
  }
}

TEST_CASE("silu: layers whose gradients read their value alone say that they have none with it") {
  const Variable x = leaf({4, 3}, 1), weight = leaf({2, 3}, 2);
  const Variable y = linear(x, weight, none, Activation::silu);
  CHECK_THROWS_WITH_AS(
      gradients(sum(y), {x}),
      "activation_slope: silu's slope does not follow from its value, which is all "
      "that a layer keeps. Apply silu() to what the layer gives.",
      Error);
}
