#include "kernels/convolution.h"

#include "autograd/op.h"
#include "autograd/ops.h"
#include "autograd/tape.h"

namespace likely {
namespace {

struct Geometry {
  const char* name;
  Shape x, w;  // [batch, height, width, in], [out, rows, columns, in / groups]
  ConvolutionOptions options = {};
};

// Each for the convolution and both of its gradients.
const Geometry pointwise_kernel{"1 x 1 kernel", {2, 2, 3, 3}, {2, 1, 1, 3}};
const Geometry same{"padding", {2, 4, 3, 2}, {3, 3, 3, 2}, {.padding = 1}};
const Geometry halving{
    "stride 2, one channel", {2, 6, 4, 1}, {2, 4, 4, 1}, {.stride = 2, .padding = 1}};
const Geometry lost{"lost row and column", {1, 6, 5, 3}, {1, 3, 2, 3}, {.stride = {2, 3}}};
const Geometry masked{"rows above only", {2, 3, 4, 2}, {2, 3, 5, 2}, {.padding = {3, 0, 2, 1}}};
const Geometry dilated{"dilation",
                       {1, 6, 7, 2},
                       {2, 3, 2, 2},
                       {.stride = {1, 2}, .padding = {2, 1}, .dilation = {2, 3}}};
const Geometry grouped{
    "groups", {2, 4, 4, 4}, {6, 3, 3, 2}, {.stride = 2, .padding = 1, .groups = 2}};

Case forward_case(const Geometry& of) {
  return {of.name, [of](Samples& s) {
            const Variable x = s.normal(of.x), w = s.normal(of.w);
            return convolution(x, w, s.normal({of.w[0]}), of.options);
          }};
}

Case activated_case(const char* name, Activation activation, double slope = 0.2) {
  return {name, [activation, slope](Samples& s) {
            const Variable x = s.normal(same.x), w = s.normal(same.w);
            return convolution(x, w, s.normal({same.w[0]}), same.options, activation, slope);
          }};
}

const Op convolution_op{"convolution",
                        forward_case(pointwise_kernel),
                        forward_case(same),
                        forward_case(halving),
                        forward_case(lost),
                        forward_case(masked),
                        forward_case(dilated),
                        forward_case(grouped),
                        activated_case("relu", Activation::relu),
                        activated_case("leaky relu", Activation::leaky_relu),
                        activated_case("leaky relu, a slope below 0", Activation::leaky_relu, -0.5),
                        activated_case("silu", Activation::silu),
                        activated_case("tanh", Activation::tanh),
                        activated_case("sigmoid", Activation::sigmoid),
                        Case{"no bias", [](Samples& s) {
                               const Variable x = s.normal(same.x);
                               return convolution(x, s.normal(same.w), none, same.options);
                             }}};

Shape output_shape(const Geometry& of) {
  const auto meta = [](const Shape& shape) {
    return Tensor::empty(shape, DType::f32, Device::meta);
  };
  return kernels::convolution(meta(of.x), meta(of.w), of.options).shape();
}

Case transposed_case(const char* name, const Geometry& of, Activation activation,
                     double slope = 0.2) {
  return Case{name,
              [of, activation, slope](Samples& s) {
                const Variable x = s.normal(output_shape(of)), w = s.normal(of.w);
                return transposed_convolution(x, w, s.normal({of.x[3]}), of.options,
                                              {of.x[1], of.x[2]}, activation, slope);
              }}
      .without(Variant::zero_size, "x would have channels that the weight lacks");
}

Case transposed_case(const Geometry& of) { return transposed_case(of.name, of, Activation::none); }

const Op transposed_op{
    "transposed_convolution",
    transposed_case(pointwise_kernel),
    transposed_case(same),
    transposed_case(halving),
    transposed_case(lost),
    transposed_case(masked),
    transposed_case(dilated),
    transposed_case(grouped),
    transposed_case("relu", halving, Activation::relu),
    transposed_case("leaky relu", halving, Activation::leaky_relu),
    transposed_case("leaky relu, a slope below 0", halving, Activation::leaky_relu, -0.5),
    transposed_case("silu", halving, Activation::silu),
    transposed_case("tanh", halving, Activation::tanh),
    transposed_case("sigmoid", halving, Activation::sigmoid),
    Case{"no bias, the smallest image",
         [](Samples& s) {
           const Variable x = s.normal({2, 2, 3, 2});
           return transposed_convolution(x, s.normal({2, 4, 3, 3}), none,
                                         {.stride = 2, .padding = 1});
         }}
        .without(Variant::zero_size, "x would have channels that the weight lacks")};

Case weight_case(const Geometry& of) {
  return {
      of.name, [of](Samples& s) {
        const Variable x = s.normal(of.x);
        return convolution_weight(x, s.normal(output_shape(of)), {of.w[1], of.w[2]}, of.options);
      }};
}

const Op weight_op{"convolution_weight", weight_case(pointwise_kernel),
                   weight_case(same),    weight_case(halving),
                   weight_case(lost),    weight_case(masked),
                   weight_case(dilated), weight_case(grouped)};

Pixels image_of(const Variable& x) { return {x.size(1), x.size(2)}; }

Variable bias_gradient(const Variable& g, const kernels::Into& into) {
  return sum_to(g, {g.size(-1)}, into);
}

// Whether an activation has to be an op of its own, since its slope does not follow from its value.
bool apart(Activation activation, double slope) {
  return activation != Activation::none && !kernels::slope_reads_value(activation, slope);
}

// Records y under a vjp (g, wants) of what lies before the activation; y is kept only if the
// activation's slope reads it.
template <class Vjp>
Variable record_activated(const Op& op, Tensor y, const Variables& inputs, Activation activation,
                          double slope, Vjp vjp) {
  if (activation == Activation::none)
    return op.record(std::move(y), inputs, std::move(vjp));
  if (activation == Activation::relu || activation == Activation::leaky_relu)
    watch_kink(y);
  return op.record(std::move(y), inputs,
                   [vjp = std::move(vjp), activation, slope](const Variable& g, const Variable& out,
                                                             const Wants& wants) {
                     return vjp(activation_slope(g, out, activation, slope), wants);
                   });
}

}  // namespace

Variable convolution(const Variable& x, const Variable& weight, const Variable& bias,
                     const ConvolutionOptions& options, Activation activation, double slope) {
  if (apart(activation, slope))
    return activated(convolution(x, weight, bias, options), activation, slope);
  return record_activated(
      convolution_op,
      kernels::convolution(x.value(), weight.value(), options, {bias.value(), activation, slope}),
      {x, weight, bias}, activation, slope,
      [x = x.saved_for(weight), weight = weight.saved_for(x), options, image = image_of(x),
       kernel = image_of(weight)](const Variable& g, const Wants& wants) -> Variables {
        return {wants[0] ? transposed_convolution(g, weight, none, options, image) : none,
                wants[1] ? convolution_weight(x, g, kernel, options, wants[1]) : none,
                wants[2] ? bias_gradient(g, wants[2]) : none};
      });
}

Variable transposed_convolution(const Variable& x, const Variable& weight, const Variable& bias,
                                const ConvolutionOptions& options, Pixels image,
                                Activation activation, double slope) {
  if (apart(activation, slope))
    return activated(transposed_convolution(x, weight, bias, options, image), activation, slope);
  return record_activated(
      transposed_op,
      kernels::transposed_convolution(x.value(), weight.value(), options, image,
                                      {bias.value(), activation, slope}),
      {x, weight, bias}, activation, slope,
      [x = x.saved_for(weight), weight = weight.saved_for(x), options, kernel = image_of(weight)](
          const Variable& g, const Wants& wants) -> Variables {
        return {wants[0] ? convolution(g, weight, none, options) : none,
                wants[1] ? convolution_weight(g, x, kernel, options, wants[1]) : none,
                wants[2] ? bias_gradient(g, wants[2]) : none};
      });
}

Variable convolution_weight(const Variable& x, const Variable& g, Pixels kernel,
                            const ConvolutionOptions& options, const kernels::Into& into) {
  return weight_op.record(
      kernels::convolution_weight(x.value(), g.value(), kernel, options, into), {x, g},
      [x = x.saved_for(g), g = g.saved_for(x), options, image = image_of(x)](
          const Variable& v, const Wants& wants) -> Variables {
        return {wants[0] ? transposed_convolution(g, v, none, options, image) : none,
                wants[1] ? convolution(x, v, none, options) : none};
      });
}

}  // namespace likely
