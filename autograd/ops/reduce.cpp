#include <algorithm>

#include "autograd/op.h"
#include "autograd/ops.h"

namespace likely {
namespace {

const Op sum_op{"sum",
                Case{"all",
                     [](Samples& s) {
                       return sum(s.normal({3, 4}));
                     }},
                Case{"middle axis",
                     [](Samples& s) {
                       return sum(s.normal({2, 3, 4}), {1});
                     }},
                Case{"kept axes", [](Samples& s) {
                       return sum(s.normal({2, 3, 4}), {0, -1}, Keep::yes);
                     }}};
const Op mean_op{"mean",
                 Case{"all",
                      [](Samples& s) {
                        return mean(s.normal({3, 4}));
                      }}
                     .without(Variant::zero_size, "the mean of no elements is not a number"),
                 Case{"last axis", [](Samples& s) {
                        return mean(s.normal({3, 4}), {-1});
                      }}};
const Op sum_to_op{"sum_to",
                   Case{"rows",
                        [](Samples& s) {
                          return sum_to(s.normal({3, 4}), {4});
                        }},
                   Case{"columns", [](Samples& s) {
                          const Variable x = s.normal({3, 4});
                          return sum_to(x, {x.size(0), 1});
                        }}};
const Op argmax_op{"argmax", not_differentiable, Case{"rows", [](Samples& s) {
                                                        return argmax(s.normal({3, 4}), 1);
                                                      }}};

// The shape with the reduced axes as extents of 1, so that a gradient expands over them.
Shape kept_shape(const Shape& shape, const std::vector<int>& axes) {
  Shape kept = axes.empty() ? Shape::filled(shape.rank(), 1) : shape;
  for (const int axis : axes)
    kept[axis] = 1;
  return kept;
}

}  // namespace

Variable sum(const Variable& x, const std::vector<int>& axes, Keep keep) {
  return sum_op.record(kernels::sum(x.value(), axes, keep), {x},
                       [shape = x.shape(), axes](const Variable& g, const Wants&) -> Variables {
                         return {expand(reshape(g, kept_shape(shape, axes)), shape)};
                       });
}

Variable mean(const Variable& x, const std::vector<int>& axes, Keep keep) {
  const std::int64_t means = kept_shape(x.shape(), axes).numel();
  const double count = static_cast<double>(x.value().numel() / std::max<std::int64_t>(means, 1));
  return mean_op.record(
      kernels::reduce(kernels::Reduction::mean, x.value(), axes, keep), {x},
      [shape = x.shape(), axes, count](const Variable& g, const Wants&) -> Variables {
        return {expand(reshape(g / count, kept_shape(shape, axes)), shape)};
      });
}

Variable sum_to(const Variable& x, const Shape& shape, const kernels::Into& into) {
  return sum_to_op.record(kernels::sum_to(x.value(), shape, into), {x},
                          [shape = x.shape()](const Variable& g, const Wants&) -> Variables {
                            return {expand(g, shape)};
                          });
}

Variable argmax(const Variable& x, int axis) {
  return argmax_op.record(kernels::argmax(x.value(), axis), {x});
}

}  // namespace likely
