#include "kernels/gather.h"

#include "autograd/op.h"
#include "autograd/ops.h"

namespace likely {
namespace {

const Op take_op{"take", Case{"rows, one twice",
                              [](Samples& s) {
                                return take(s.normal({4, 3}), s.index({2, 0, 2}));
                              }}
                             .without(Variant::zero_size, "an index needs rows to point at")};
const Op scatter_add_op{"scatter_add",
                        Case{"rows, one twice",
                             [](Samples& s) {
                               return scatter_add(s.normal({3, 2}), s.index({2, 0, 2}), 4);
                             }}
                            .without(Variant::zero_size, "the index has three rows")};
const Op pick_op{"pick", Case{"a class a row", [](Samples& s) {
                                const Variable x = s.normal({3, 4});
                                return pick(x, s.integers({3}, 4));
                              }}};
const Op place_op{"place", Case{"a class a row", [](Samples& s) {
                                  const Variable g = s.normal({3});
                                  return place(g, s.integers({3}, 4), 4);
                                }}};

}  // namespace

Variable take(const Variable& x, const Tensor& index) {
  return take_op.record(kernels::take(x.value(), index), {x},
                        [index, rows = x.size(0)](const Variable& g, const Wants&) -> Variables {
                          return {scatter_add(g, index, rows)};
                        });
}

Variable scatter_add(const Variable& g, const Tensor& index, std::int64_t rows) {
  return scatter_add_op.record(
      kernels::scatter_add(g.value(), index, rows), {g},
      [index](const Variable& h, const Wants&) -> Variables { return {take(h, index)}; });
}

Variable pick(const Variable& x, const Tensor& index) {
  return pick_op.record(kernels::pick(x.value(), index), {x},
                        [index, classes = x.size(1)](const Variable& g, const Wants&) -> Variables {
                          return {place(g, index, classes)};
                        });
}

Variable place(const Variable& g, const Tensor& index, std::int64_t classes) {
  return place_op.record(
      kernels::place(g.value(), index, classes), {g},
      [index](const Variable& h, const Wants&) -> Variables { return {pick(h, index)}; });
}

}  // namespace likely
