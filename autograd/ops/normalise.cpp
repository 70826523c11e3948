#include "kernels/normalise.h"

#include <numeric>

#include "autograd/op.h"
#include "autograd/ops.h"
#include "autograd/tape.h"
#include "kernels/copy.h"

namespace likely {
namespace {

using kernels::Moments;
using kernels::Normalise;
using kernels::NormaliseSums;
using kernels::Over;

// A case of f(x, scale, shift).
template <class F>
Case affine_case(const char* name, const Shape& shape, F f) {
  return Case{name,
              [=](Samples& s) {
                const Variable x = s.normal(shape), scale = s.positive({shape[-1]});
                return f(x, scale, s.normal({shape[-1]}));
              }}
      .without(Variant::zero_size, "scale and shift would lose their channels");
}

Case batch_case(const char* name, const Shape& shape, const Normalise& how) {
  return affine_case(name, shape, [how](const Variable& x, const Variable& a, const Variable& b) {
    return batch_norm(x, a, b, how).y;
  });
}
const Op batch_norm_op{
    "batch_norm",
    batch_case("maps", {3, 2, 2, 4}, {}),
    batch_case("rows", {6, 3}, {1e-2}),
    batch_case("relu", {3, 2, 2, 4}, {1e-5, Activation::relu}),
    batch_case("leaky relu", {3, 2, 2, 4}, {1e-5, Activation::leaky_relu}),
    batch_case("leaky relu, a slope below 0", {3, 2, 2, 4}, {1e-5, Activation::leaky_relu, -0.5}),
    batch_case("tanh", {3, 2, 2, 4}, {1e-5, Activation::tanh}),
    batch_case("sigmoid", {3, 2, 2, 4}, {1e-5, Activation::sigmoid}),
    Case{"neither scale nor shift",
         [](Samples& s) {
           return batch_norm(s.normal({6, 3}), none, none, {1e-2}).y;
         }}
        .without(Variant::zero_size, "there is no mean of no elements"),
    affine_case("shift alone", {6, 3},
                [](const Variable& x, const Variable&, const Variable& shift) {
                  return batch_norm(x, none, shift, {1e-2}).y;
                })};

Variable by_given(const Variable& x, const Variable& scale, const Variable& shift,
                  Activation activation) {
  const auto four = [&x](const std::vector<double>& values) {
    return kernels::cast(Tensor::of({4}, values), x.dtype()).to(x.device());
  };
  return batch_norm_by(x, {four({0.3, -0.2, 0.1, 0}), four({0.5, 1.5, 1, 2})}, scale, shift,
                       {1e-5, activation});
}
const Op batch_norm_by_op{
    "batch_norm_by",
    affine_case("maps", {3, 2, 2, 4},
                [](const Variable& x, const Variable& scale, const Variable& shift) {
                  return by_given(x, scale, shift, Activation::none);
                }),
    affine_case("leaky relu", {3, 2, 2, 4},
                [](const Variable& x, const Variable& scale, const Variable& shift) {
                  return by_given(x, scale, shift, Activation::leaky_relu);
                }),
    Case{"neither scale nor shift", [](Samples& s) {
           return by_given(s.normal({6, 4}), none, none, Activation::none);
         }}};

const Op instance_norm_op{
    "instance_norm",
    affine_case("maps", {3, 2, 3, 4},
                [](const Variable& x, const Variable& scale, const Variable& shift) {
                  return instance_norm(x, scale, shift);
                }),
    affine_case("relu", {3, 5, 4},
                [](const Variable& x, const Variable& scale, const Variable& shift) {
                  return instance_norm(x, scale, shift, {1e-5, Activation::relu});
                }),
    Case{"neither scale nor shift", [](Samples& s) {
           return instance_norm(s.normal({3, 5, 4}), none, none);
         }}};

Case group_case(const char* name, const Shape& shape, std::int64_t groups, const Normalise& how) {
  return affine_case(name, shape, [=](const Variable& x, const Variable& a, const Variable& b) {
    return group_norm(x, a, b, groups, how);
  });
}
Case offset_case(const Shape& shape, std::int64_t groups) {
  return Case{"offset of each image",
              [=](Samples& s) {
                const Variable x = s.normal(shape), scale = s.positive({shape[-1]});
                const Variable shift = s.normal({shape[-1]});
                return group_norm(x, scale, shift, groups, {1e-5, Activation::silu},
                                  s.normal({shape[0], shape[-1]}));
              }}
      .without(Variant::zero_size, "scale and shift would lose their channels");
}
const Op group_norm_op{
    "group_norm",
    group_case("maps", {3, 2, 3, 6}, 3, {}),
    group_case("silu", {2, 2, 2, 6}, 2, {1e-5, Activation::silu}),
    group_case("all channels of rows", {4, 6}, 1, {1e-2, Activation::tanh}),
    group_case("a channel a group", {3, 5, 2}, 2, {1e-5, Activation::silu}),
    offset_case({3, 2, 3, 6}, 3),
    Case{"neither scale nor shift", [](Samples& s) {
           return group_norm(s.normal({3, 5, 4}), none, none, 2, {1e-5, Activation::silu});
         }}};

// Whether the activation follows as an op of its own: normalisation reads its slope off y.
bool apart(const Normalise& how) {
  return how.activation == Activation::leaky_relu &&
         !kernels::slope_reads_value(how.activation, how.slope);
}
Variable activated(const Variable& x, const Normalise& how) {
  return activated(x, how.activation, how.slope);
}

// The inputs of a node: x, and scale, shift and offset where there are such.
struct Inputs {
  Variables all;
  std::size_t scale, shift, offset;  // their places, or 0

  Inputs(const Variable& x, const Variable& scale_or_none, const Variable& shift_or_none,
         const Variable& offset_or_none = none)
      : all{x}, scale(add(scale_or_none)), shift(add(shift_or_none)), offset(add(offset_or_none)) {}

 private:
  std::size_t add(const Variable& input) {
    if (!input.defined())
      return 0;
    all.push_back(input);
    return all.size() - 1;
  }
};

// x̂ in plain ops, by moments over the axes from `first` to the last but one, and groups of
// channels.
Variable normalised(const Variable& x, int first, std::int64_t group, const Normalise& how) {
  std::vector<int> axes(static_cast<std::size_t>(x.rank() - 1 - first));
  std::iota(axes.begin(), axes.end(), first);
  Variable grouped = x;
  if (group > 1) {
    Shape shape = x.shape().with(-1, x.size(-1) / group);
    shape.push_back(group);
    grouped = reshape(x, shape);
    axes.push_back(x.rank());
  }
  const Variable centred = grouped - mean(grouped, axes, Keep::yes);
  const Variable y = centred / sqrt(mean(square(centred), axes, Keep::yes) + how.epsilon);
  return group > 1 ? reshape(y, x.shape()) : y;
}

DType statistics_type(const Variable& x) {
  return x.dtype() == DType::f64 ? DType::f64 : DType::f32;
}

// A value a channel and image, as x is laid out.
Shape a_position_of(const Shape& x) {
  Shape shape = x;
  for (int axis = 1; axis < x.rank() - 1; ++axis)
    shape = shape.with(axis, 1);
  return shape;
}

// `over` is where the moments are those of x; nothing where they are given.
Variable record(const Op& op, const Inputs& inputs, const Moments& by, const Over* over,
                const Normalise& how, Tensor y = {}) {
  const Variable &x = inputs.all[0], scale = inputs.scale ? inputs.all[inputs.scale] : none,
                 shift = inputs.shift ? inputs.all[inputs.shift] : none;
  if (!y.defined())
    y = kernels::normalise(x.value(), by, scale.value(), shift.value(), how);
  if (how.activation == Activation::relu || how.activation == Activation::leaky_relu)
    watch_kink(y);
  const std::size_t at_scale = inputs.scale, at_shift = inputs.shift, at_offset = inputs.offset;
  const bool of_x = over != nullptr;
  const auto fast = [x = x.saved(), scale = scale.saved(), shift = shift.saved(), by, of_x,
                     at_scale, at_shift, at_offset,
                     how](const Tensors& g, const Tensors& out, const Wants& wants) -> Tensors {
    const Tensor value = out.empty() ? Tensor() : out[0];
    const Tensor factor = at_scale ? scale.get().value() : Tensor();
    const Tensor term = at_shift ? shift.get().value() : Tensor();
    const bool of_scale = at_scale && wants[at_scale], of_shift = at_shift && wants[at_shift];
    const bool of_offset = at_offset && wants[at_offset];
    kernels::NormaliseGradients found;
    const bool of_data = wants[0] || of_offset;
    if (of_data && of_x)
      found = kernels::normalise_gradients(g[0], x.get().value(), value, by, factor, term, how);
    else if (of_scale || of_shift)
      found.sums = kernels::normalise_sums(g[0], x.get().value(), value, by, factor, term, how);
    if (of_data && !of_x)
      found.x = kernels::normalise_data(g[0], x.get().value(), value, by, factor, term, {}, how);
    const NormaliseSums& sums = found.sums;
    Tensors result(wants.size());
    result[0] = found.x;
    if (of_offset)
      result[at_offset] = kernels::sum_to(result[0], a_position_of(result[0].shape()))
                              .reshape({result[0].size(0), result[0].size(-1)});
    const Shape channels{sums.shift.defined() ? sums.shift.size(-1) : 0};
    if (of_scale)
      result[at_scale] = kernels::sum_to(sums.scale, channels, wants[at_scale].into);
    if (of_shift)
      result[at_shift] = kernels::sum_to(sums.shift, channels, wants[at_shift].into);
    return result;
  };
  const auto definition =
      [=, first = over && *over == Over::image ? 1 : 0](const Variables& in) -> Variables {
    const Variable moved =
        at_offset ? in[0] + reshape(in[at_offset], a_position_of(in[0].shape())) : in[0];
    Variable y = of_x ? normalised(moved, first, by.group, how)
                      : (in[0] - Variable(by.mean)) / sqrt(Variable(by.variance) + how.epsilon);
    if (at_scale)
      y = y * in[at_scale];
    if (at_shift)
      y = y + in[at_shift];
    return {activated(y, how)};
  };
  return op.fused({std::move(y)}, inputs.all, fast, definition,
                  kernels::slope_reads_value(how.activation, how.slope))[0];
}

}  // namespace

Normalised batch_norm(const Variable& x, const Variable& scale, const Variable& shift,
                      const Normalise& how) {
  if (apart(how)) {
    const Normalised before = batch_norm(x, scale, shift, {how.epsilon});
    return {activated(before.y, how), before.moments};
  }
  const Over over = Over::batch;
  const kernels::Normalised found =
      kernels::normalised(x.value(), scale.value(), shift.value(), how);
  return {record(batch_norm_op, {x, scale, shift}, found.by, &over, how, found.y), found.by};
}

Variable batch_norm_by(const Variable& x, const Moments& given, const Variable& scale,
                       const Variable& shift, const Normalise& how) {
  if (apart(how))
    return activated(batch_norm_by(x, given, scale, shift, {how.epsilon}), how);
  return record(batch_norm_by_op, {x, scale, shift}, given, nullptr, how);
}

Variable instance_norm(const Variable& x, const Variable& scale, const Variable& shift,
                       const Normalise& how) {
  if (apart(how))
    return activated(instance_norm(x, scale, shift, {how.epsilon}), how);
  const Over over = Over::image;
  const kernels::Normalised found =
      kernels::normalised(x.value(), scale.value(), shift.value(), how, over);
  return record(instance_norm_op, {x, scale, shift}, found.by, &over, how, found.y);
}

Variable group_norm(const Variable& x, const Variable& scale, const Variable& shift,
                    std::int64_t groups, const Normalise& how, const Variable& offset) {
  require(
      x.rank() >= 2 && groups > 0 && x.size(-1) % groups == 0,
      "group_norm: {} groups cannot share the channels, the last axis of {}. Give x as [images, "
      "…, channels] and a divisor of the channels.",
      groups, x.shape());
  if (apart(how))
    return activated(group_norm(x, scale, shift, groups, {how.epsilon}, offset), how);
  if (x.rank() == 2 && groups == x.size(1))  // a value by itself: images of one position
    return reshape(group_norm(unsqueeze(x, 1), scale, shift, groups, how, offset), x.shape());
  const Over over = Over::image;
  const DType statistic = statistics_type(x);
  const Tensor added = offset.defined() ? kernels::cast(offset.value(), statistic) : Tensor();
  const kernels::Normalised found = kernels::normalised(x.value(), scale.value(), shift.value(),
                                                        how, over, x.size(-1) / groups, added);
  return record(group_norm_op, {x, scale, shift, offset}, found.by, &over, how, found.y);
}

// A row is an image of one channel, whose positions have scales and shifts of their own.
Variable layer_norm(const Variable& x, const Variable& scale, const Variable& shift,
                    const Normalise& how) {
  require(x.rank() >= 1, "layer_norm: x is a scalar. Give it as [..., channels].");
  for (const Variable* given : {&scale, &shift})
    require(!given->defined() ||
                (given->shape() == Shape{x.size(-1)} && given->dtype() == statistics_type(x)),
            "layer_norm: the {} is {} {}, for x {} {} it must be {} {}.",
            given == &scale ? "scale" : "shift", given->dtype(), given->shape(), x.dtype(),
            x.shape(), statistics_type(x), Shape{x.size(-1)});
  if (x.dtype() == DType::bf16)  // rounded once, at the end
    return cast(layer_norm(cast(x, DType::f32), scale, shift, how), DType::bf16);
  const Shape rows{x.shape().without(-1).numel(), x.size(-1), 1};
  Variable y = reshape(instance_norm(reshape(x, rows), none, none, {how.epsilon}), x.shape());
  if (scale.defined())
    y = y * scale;
  if (shift.defined())
    y = y + shift;
  return activated(y, how);
}

}  // namespace likely
