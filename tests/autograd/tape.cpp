#include "autograd/tape.h"

#include <doctest/doctest.h>

#include <cmath>

#include "autograd/ops.h"
#include "kernels/copy.h"
#include "tensor/allocator.h"
#include "tests/autograd/leaf.h"
#include "tests/device.h"

using namespace likely;

namespace {

Tensor tensor(const Shape& shape, const std::vector<double>& values) {
  return Tensor::of(shape, values, device_under_test());
}
Tensor filled(const Shape& shape, double value, DType dtype = DType::f64) {
  return kernels::full(shape, value, dtype, device_under_test());
}
std::vector<double> numbers(const Variable& v) { return kernels::to_doubles(v.value()); }

}  // namespace

TEST_CASE("gradients: a variable used twice gets both contributions") {
  const Variable x = leaf({2}, {3, -1});
  CHECK(numbers(gradients(sum(x * x + x), {x})[0]) == std::vector<double>{7, -1});
}

TEST_CASE("gradients: none where the output does not depend on the input") {
  const Variable x = leaf({}, {3}), y = leaf({}, {2});
  const Variables g = gradients(x * 2.0, {x, y});
  CHECK(g[0].defined());
  CHECK_FALSE(g[1].defined());
}

TEST_CASE("gradients: of gradients, to second order") {
  const Variable x = leaf({}, {0.7});
  const Variable first = gradients(tanh(x), {x}, {}, Recorded::yes)[0];
  const double t = std::tanh(0.7);
  CHECK(first.value().item<double>() == doctest::Approx(1 - t * t).epsilon(1e-14));
  CHECK(gradients(first, {x})[0].value().item<double>() ==
        doctest::Approx(-2 * t * (1 - t * t)).epsilon(1e-14));
}

TEST_CASE("gradients: the third of a formula throws by name") {
  const Variable x = leaf({}, {0.7});
  const Variable first = gradients(erf(x), {x}, {}, Recorded::yes)[0];
  const Variable second = gradients(first, {x}, {}, Recorded::yes)[0];
  CHECK_THROWS_WITH_AS(gradients(second, {x}),
                       "erf: third derivatives are not there. Write it in smaller ops to go on.",
                       Error);
}

TEST_CASE("gradients: what a formula declares to be identically zero is none") {
  const Variable g = leaf({2}, {3, -1}), y = leaf({2}, {2, -2});
  const Variables slopes =
      gradients(sum(activation_slope(g, y, Activation::leaky_relu, 0.5)), {g, y});
  CHECK(numbers(slopes[0]) == std::vector<double>{1, 0.5});
  CHECK_FALSE(slopes[1].defined());
  // |x| has no second derivative, but its slope moves with the cotangent.
  const Variable first = gradients(abs(y), {y}, g, Recorded::yes)[0];
  const Variables second = gradients(sum(first), {y, g});
  CHECK_FALSE(second[0].defined());
  CHECK(numbers(second[1]) == std::vector<double>{1, -1});
}

TEST_CASE("gradients: stop_gradient is the one cut") {
  const Variable x = leaf({}, {3});
  CHECK(gradients(x * stop_gradient(x), {x})[0].value().item<double>() == 3);
}

TEST_CASE("gradients: an output that is not a scalar needs a cotangent of its shape") {
  const Variable x = leaf({2}, {1, 2});
  CHECK_THROWS_WITH_AS(gradients(x, {x}),
                       "gradients: an output of shape [2] needs a cotangent of that shape.", Error);
}

TEST_CASE("backward: fills slots, adding after the first contribution") {
  auto slot = std::make_shared<Slot>(Slot{tensor({2}, std::vector<double>{9, 9})});
  const Variable w = Variable::leaf(tensor({2}, std::vector<double>{1, 2}), slot);
  backward(sum(w * w));
  CHECK(kernels::to_doubles(slot->gradient) == std::vector<double>{2, 4});
  backward(sum(w));  // a second micro-batch
  CHECK(kernels::to_doubles(slot->gradient) == std::vector<double>{3, 5});
}

TEST_CASE("backward: a product writes where its gradient belongs") {
  const Tensor flat = filled({20}, 7);
  auto slot = std::make_shared<Slot>(Slot{flat.slice(0, 4, 10).reshape({2, 3})});
  const Variable w = Variable::leaf(filled({2, 3}, 0.5), slot);
  const Variable x = filled({4, 3}, 2);
  backward(sum(linear(x, w, none)));
  CHECK(kernels::to_doubles(slot->gradient) == std::vector<double>(6, 8));
  CHECK(kernels::to_doubles(flat.slice(0, 0, 4)) == std::vector<double>(4, 7));
}

TEST_CASE("backward: a tape is used once") {
  auto slot = std::make_shared<Slot>(Slot{filled({}, 0)});
  const Variable w = Variable::leaf(filled({}, 2), slot);
  const Variable loss = tanh(w);
  backward(loss);
  CHECK_THROWS_WITH_AS(
      backward(loss),
      "tanh: the tape through it was already used by a backward pass. Run the forward again.",
      Error);
}

TEST_CASE("backward: a saved value that was written since throws and names the op") {
  const Variable x = leaf({2}, {1, 2}), y = leaf({2}, {3, 4});
  const Variable product = sum(x * y);
  kernels::fill(y.value(), 0);
  CHECK_THROWS_WITH_AS(gradients(product, {x}),
                       "multiply: a value of shape [2] that its gradient needs was written after "
                       "the forward pass. Differentiate before updating.",
                       Error);
}

TEST_CASE("backward: what no gradient needs is not kept") {
  const Allocator& allocator = allocator_of(device_under_test());
  const Variable w = Variable::leaf(filled({64, 64}, 0.1, DType::f32));
  const std::size_t before = allocator.counters().in_use;
  Variable y;
  {
    const Variable x = filled({64, 64}, 1, DType::f32);
    y = x + w;  // a sum keeps neither
  }
  CHECK(allocator.counters().in_use - before == Allocator::rounded(64 * 64 * 4));
}

TEST_CASE("tape: a chain of a million nodes is released without recursion" * cpu_only) {
  Variable x = Variable::leaf(Tensor::scalar(1.0));
  Variable y = x;
  const int length = std::getenv("LIKELY_TEST_SMALL") ? 20'000 : 1'000'000;
  for (int i = 0; i < length; ++i)
    y = -y;
  CHECK(gradients(y, {x})[0].value().item<double>() == 1);
  y = none;
}

TEST_CASE("tape: nothing outlives the graph") {
  const Allocator& allocator = allocator_of(device_under_test());
  const std::size_t before = allocator.counters().in_use;
  {
    const Variable x = leaf({3}, {1, 2, 3});
    const Variable y = softmax(x, 0);
    gradients(sum(square(y)), {x});
  }
  CHECK(allocator.counters().in_use == before);
}

TEST_CASE("recompute: the same gradients, also for the parameters it uses") {
  auto slot = std::make_shared<Slot>(Slot{filled({3, 3}, 0)});
  const Tensor value = tensor({3, 3}, std::vector<double>{.1, .2, .3, -.1, .4, 0, .5, -.2, .1});
  const Variable w = Variable::leaf(value, slot), x = leaf({2, 3}, {1, 2, 3, -1, 0, 2});
  const auto block = [w](const Variables& in) { return tanh(matmul(tanh(matmul(in[0], w)), w)); };
  const Variables plain = gradients(sum(square(block({x}))), {x, w});
  const Variables again = gradients(sum(square(recompute(block, {x}))), {x, w});
  CHECK(numbers(plain[0]) == numbers(again[0]));
  CHECK(numbers(plain[1]) == numbers(again[1]));
  backward(sum(square(recompute(block, {x}))));
  CHECK(kernels::to_doubles(slot->gradient) == numbers(plain[1]));
}

TEST_CASE("finite check: names op, output and index of the first value that is not finite") {
  const FiniteCheck check;
  const Variable x = leaf({2, 2}, {1, 2, 0, 4});
  CHECK_THROWS_WITH_AS(log(x), "log: output 0 of shape [2, 2] is -inf at [1, 0].", Diverged);
}

TEST_CASE("fused: with recording off the fast vjp runs, with recording on its definition") {
  static int fast_runs = 0;
  static const Op cube_op{"test cube", Case{"unused", [](Samples& s) { return s.normal({2}); }}};
  const auto cube = [](const Variable& x) {
    return cube_op.fused(
        {(square(x) * x).value()}, {x},
        [x = x.value()](const Tensors& g, const Tensors&, const Wants&) -> Tensors {
          ++fast_runs;
          return {(Variable(g[0]) * square(Variable(x)) * 3.0).value()};
        },
        [](const Variables& in) -> Variables { return {square(in[0]) * in[0]}; }, true)[0];
  };
  const Variable x = leaf({}, {2});
  CHECK(gradients(cube(x), {x})[0].value().item<double>() == 12);
  CHECK(fast_runs == 1);
  CHECK_THROWS_WITH_AS(
      gradients(cube(x), {x}, {}, Recorded::yes),
      "test cube: a gradient of its gradient is asked for, but its forward kept "
      "only what a first gradient reads. Run the forward under TwiceDifferentiable.",
      Error);
  const TwiceDifferentiable twice;
  const Variable first = gradients(cube(x), {x}, {}, Recorded::yes)[0];
  CHECK(first.value().item<double>() == 12);
  CHECK(gradients(first, {x})[0].value().item<double>() == 12);
  CHECK(fast_runs == 1);
}
