#include "kernels/matmul.h"

#include "autograd/op.h"
#include "autograd/ops.h"
#include "autograd/tape.h"

namespace likely {
namespace {

const Op matmul_op{
    "matmul",
    Case{"matrices",
         [](Samples& s) {
           const Variable a = s.normal({3, 4});
           return matmul(a, s.normal({4, 2}));
         }}
        .without(Variant::zero_size, "the inner sizes of the two factors would differ"),
    Case{"batch, broadcast",
         [](Samples& s) {
           const Variable a = s.normal({2, 1, 3, 4});
           return matmul(a, s.normal({5, 4, 2}));
         }},
    Case{"transposed factor", [](Samples& s) {
           const Variable a = s.normal({3, 4});
           return matmul(a, transpose(s.normal({2, 4})));
         }}};

Variable linear_case(Samples& s, const Shape& shape, Activation activation, double slope = 0.2) {
  const Variable x = s.normal(shape), weight = s.normal({2, 3});
  return linear(x, weight, s.normal({2}), activation, slope);
}

const Op linear_op{
    "linear",
    Case{"bias",
         [](Samples& s) {
           return linear_case(s, {4, 3}, Activation::none);
         }},
    Case{"no bias",
         [](Samples& s) {
           const Variable x = s.normal({4, 3});
           return linear(x, s.normal({2, 3}), none);
         }},
    Case{"leading axes",
         [](Samples& s) {
           return linear_case(s, {2, 4, 3}, Activation::none);
         }},
    Case{"tanh",
         [](Samples& s) {
           return linear_case(s, {4, 3}, Activation::tanh);
         }},
    Case{"sigmoid",
         [](Samples& s) {
           return linear_case(s, {4, 3}, Activation::sigmoid);
         }},
    Case{"relu",
         [](Samples& s) {
           return linear_case(s, {4, 3}, Activation::relu);
         }},
    Case{"leaky relu",
         [](Samples& s) {
           return linear_case(s, {4, 3}, Activation::leaky_relu);
         }},
    Case{"leaky relu, a slope below 0",
         [](Samples& s) {
           return linear_case(s, {4, 3}, Activation::leaky_relu, -0.5);
         }},
    Case{"silu",
         [](Samples& s) {
           return linear_case(s, {4, 3}, Activation::silu);
         }},
    Case{"a vector", [](Samples& s) { return linear_case(s, {3}, Activation::tanh); }}.without(
        Variant::zero_size, "x would have no more elements than the weight has columns")};

Variable flat_rows(const Variable& x) {
  return x.rank() == 2 ? x : reshape(x, {x.shape().without(-1).numel(), x.size(-1)});
}

}  // namespace

// Each factor is kept only if the other one's gradient is wanted.
Variable matmul(const Variable& a, const Variable& b, const kernels::Into& into) {
  return matmul_op.record(
      kernels::matmul(a.value(), b.value(), {}, into), {a, b},
      [a = a.saved_for(b), b = b.saved_for(a)](const Variable& g, const Wants& wants) -> Variables {
        return {wants[0] ? matmul(g, transpose(b.get())) : none,
                wants[1] ? matmul(transpose(a.get()), g) : none};
      });
}

Variable linear(const Variable& x, const Variable& weight, const Variable& bias,
                Activation activation, double slope) {
  require(x.rank() >= 1 && weight.rank() == 2 && x.size(-1) == weight.size(1),
          "linear: x is {}, the weight [out, in] is {}. The last axis of x must be `in`.",
          x.shape(), weight.shape());
  if (x.rank() == 1)
    return reshape(linear(reshape(x, {1, x.size(0)}), weight, bias, activation, slope),
                   {weight.size(0)});
  if (activation != Activation::none && !kernels::slope_reads_value(activation, slope))
    return activated(linear(x, weight, bias), activation, slope);
  Tensor y =
      kernels::matmul(x.value(), weight.value().transpose(), {bias.value(), activation, slope});
  if (activation == Activation::relu || activation == Activation::leaky_relu)
    watch_kink(y);
  const auto vjp = [x = x.saved_for(weight), weight = weight.saved_for(x), activation, slope](
                       const Variable& g, const Variable& out, const Wants& wants) -> Variables {
    const Variable before = activation_slope(g, out, activation, slope);
    const Variable rows = flat_rows(before);
    return {wants[0] ? matmul(before, weight.get()) : none,
            wants[1] ? matmul(transpose(rows), flat_rows(x.get()), wants[1].into) : none,
            wants[2] ? sum_to(rows, {rows.size(1)}, wants[2].into) : none};
  };
  if (activation != Activation::none)
    return linear_op.record(std::move(y), {x, weight, bias}, vjp);
  return linear_op.record(  // y need not be kept
      std::move(y), {x, weight, bias},
      [vjp](const Variable& g, const Wants& wants) { return vjp(g, none, wants); });
}

}  // namespace likely
