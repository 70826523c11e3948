#include "autograd/op.h"
#include "autograd/ops.h"
#include "kernels/copy.h"

namespace likely {
namespace {

const Op reshape_op{"reshape", Case{"matrix",
                                    [](Samples& s) {
                                      return reshape(s.normal({3, 4}), {2, 6});
                                    }}
                                   .without(Variant::zero_size, "the extents are given")};
const Op permute_op{"permute", Case{"three axes", [](Samples& s) {
                                      return permute(s.normal({2, 3, 4}), {2, 0, 1});
                                    }}};
const Op transpose_op{"transpose",
                      Case{"last two",
                           [](Samples& s) {
                             return transpose(s.normal({2, 3, 4}));
                           }},
                      Case{"first and last", [](Samples& s) {
                             return transpose(s.normal({2, 3, 4}), 0, 2);
                           }}};
const Op slice_op{"slice",
                  Case{"columns",
                       [](Samples& s) {
                         return slice(s.normal({3, 6}), 1, 1, 4);
                       }},
                  Case{"every second", [](Samples& s) {
                         return slice(s.normal({3, 6}), -1, 0, 6, 2);
                       }}};
const Op unslice_op{"unslice", Case{"columns", [](Samples& s) {
                                      const Variable g = s.normal({3, 2});
                                      return unslice(g, {g.size(0), 6}, 1, 1, 2);
                                    }}};
const Op expand_op{"expand", Case{"row",
                                  [](Samples& s) {
                                    return expand(s.normal({1, 4}), {3, 4});
                                  }}
                                 .without(Variant::zero_size, "an extent of 0 does not stretch")};
const Op concatenate_op{"concatenate", Case{"columns", [](Samples& s) {
                                              const Variable a = s.normal({3, 2});
                                              return concatenate({a, s.normal({3, 4})}, 1);
                                            }}};
const Op split_op{"split",
                  Case{"columns",
                       [](Samples& s) {
                         const Variables parts = split(s.normal({3, 6}), {1, 3, 2}, 1);
                         return parts[1] * sum(parts[0]) + sum(parts[2], {1}, Keep::yes);
                       }},
                  Case{"one part not used", [](Samples& s) {
                         return split(s.normal({3, 6}), {4, 2}, 1)[1];
                       }}};
const Op contiguous_op{"contiguous", Case{"of a transpose", [](Samples& s) {
                                            return contiguous(transpose(s.normal({3, 4})));
                                          }}};
const Op cast_op{"cast", Case{"to f64", [](Samples& s) {
                                return cast(s.normal({3, 4}), DType::f64);
                              }}};

std::int64_t end_of(std::int64_t extent, std::int64_t begin, std::int64_t step) {
  return extent == 0 ? begin : begin + (extent - 1) * step + 1;
}

}  // namespace

Variable reshape(const Variable& x, const Shape& shape) {
  return reshape_op.record(kernels::contiguous(x.value()).reshape(shape), {x},
                           [shape = x.shape()](const Variable& g, const Wants&) -> Variables {
                             return {reshape(g, shape)};
                           });
}

Variable permute(const Variable& x, const std::vector<int>& axes) {
  std::vector<int> inverse(axes.size());
  Tensor value = x.value().permute(axes);
  for (std::size_t i = 0; i < axes.size(); ++i)
    inverse[static_cast<std::size_t>(x.value().axis("permute", axes[i]))] = static_cast<int>(i);
  return permute_op.record(
      std::move(value), {x},
      [inverse](const Variable& g, const Wants&) -> Variables { return {permute(g, inverse)}; });
}

Variable transpose(const Variable& x, int a, int b) {
  return transpose_op.record(
      x.value().transpose(a, b), {x},
      [a, b](const Variable& g, const Wants&) -> Variables { return {transpose(g, a, b)}; });
}

Variable slice(const Variable& x, int axis, std::int64_t begin, std::int64_t end,
               std::int64_t step) {
  return slice_op.record(
      x.value().slice(axis, begin, end, step), {x},
      [shape = x.shape(), axis, begin, step](const Variable& g, const Wants&) -> Variables {
        return {unslice(g, shape, axis, begin, step)};
      });
}

Variable unslice(const Variable& g, const Shape& shape, int axis, std::int64_t begin,
                 std::int64_t step) {
  const std::int64_t end = end_of(g.size(axis), begin, step);
  Tensor value = kernels::zeros(shape, g.dtype(), g.device());
  kernels::copy_into(value.slice(axis, begin, end, step), g.value());
  return unslice_op.record(std::move(value), {g},
                           [axis, begin, end, step](const Variable& h, const Wants&) -> Variables {
                             return {slice(h, axis, begin, end, step)};
                           });
}

Variable expand(const Variable& x, const Shape& shape) {
  return expand_op.record(x.value().expand(shape), {x},
                          [shape = x.shape()](const Variable& g, const Wants& wants) -> Variables {
                            return {sum_to(g, shape, wants[0].into)};
                          });
}

Variable squeeze(const Variable& x, int axis) {
  require(x.size(axis) == 1, "squeeze: axis {} of {} has not the extent 1.", axis, x.shape());
  return reshape(x, x.shape().without(axis));
}

Variable unsqueeze(const Variable& x, int axis) { return reshape(x, x.shape().inserted(axis, 1)); }

Variable concatenate(const Variables& parts, int axis) {
  require(!parts.empty(), "concatenate: there is nothing to join.");
  Tensors values;
  std::vector<std::int64_t> ends{0};
  for (const Variable& part : parts) {
    values.push_back(part.value());
    ends.push_back(ends.back() + part.size(axis));
  }
  return concatenate_op.record(
      kernels::concatenate(values, axis), parts,
      [axis, ends](const Variable& g, const Wants& wants) -> Variables {
        Variables result;
        for (std::size_t i = 0; i < wants.size(); ++i)
          result.push_back(wants[i] ? slice(g, axis, ends[i], ends[i + 1]) : none);
        return result;
      });
}

Variables split(const Variable& x, const std::vector<std::int64_t>& sizes, int axis) {
  Tensors values;
  std::int64_t end = 0;
  for (const std::int64_t size : sizes) {
    values.push_back(x.value().slice(axis, end, end + size));
    end += size;
  }
  require(end == x.size(axis), "split: the parts have {} of the {} elements along axis {}.", end,
          x.size(axis), axis);
  std::vector<Shape> shapes;
  for (const Tensor& value : values)
    shapes.push_back(value.shape());
  return split_op.record(
      std::move(values), {x},
      [axis, shapes, dtype = x.dtype(), device = x.value().device()](
          const Variables& g, const Variables&, const Wants&) -> Variables {
        Variables parts = g;
        for (std::size_t i = 0; i < parts.size(); ++i)
          if (!parts[i].defined())
            parts[i] = kernels::zeros(shapes[i], dtype, device);
        return {concatenate(parts, axis)};
      },
      false);
}

Variable contiguous(const Variable& x) {
  return contiguous_op.record(kernels::contiguous(x.value()), {x},
                              [](const Variable& g, const Wants&) -> Variables { return {g}; });
}

Variable cast(const Variable& x, DType dtype) {
  return cast_op.record(
      kernels::cast(x.value(), dtype), {x},
      [from = x.dtype()](const Variable& g, const Wants&) -> Variables { return {cast(g, from)}; });
}

Variable stop_gradient(const Variable& x) { return x.value(); }

}  // namespace likely
