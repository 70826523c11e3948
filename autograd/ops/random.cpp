#include "kernels/random.h"

#include "autograd/op.h"
#include "autograd/ops.h"

namespace likely {
namespace {

const Op dropout_op{"dropout", Case{"a fifth dropped", [](Samples& s) {
                                      const Variable x = s.normal({5, 7});
                                      return dropout(x, 0.8, {make_step_state({3}, x.device()), 1});
                                    }}};

}  // namespace

// Linear in x, and its own adjoint.
Variable dropout(const Variable& x, double keep, const Draw& draw) {
  return dropout_op.record(kernels::dropout(x.value(), keep, draw), {x},
                           [keep, draw](const Variable& g, const Wants&) -> Variables {
                             return {dropout(g, keep, draw)};
                           });
}

}  // namespace likely
