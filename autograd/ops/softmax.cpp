#include "kernels/softmax.h"

#include "autograd/op.h"
#include "autograd/ops.h"

namespace likely {
namespace {

const Op softmax_op{"softmax",
                    Case{"rows",
                         [](Samples& s) {
                           return softmax(s.normal({3, 5}), 1);
                         }},
                    Case{"columns",
                         [](Samples& s) {
                           return softmax(s.normal({3, 5}), 0);
                         }},
                    Case{"one element", [](Samples& s) { return softmax(s.normal({1}), 0); }}};
const Op log_softmax_op{"log_softmax",
                        Case{"rows",
                             [](Samples& s) {
                               return log_softmax(s.normal({3, 5}), -1);
                             }},
                        Case{"middle axis", [](Samples& s) {
                               return log_softmax(s.normal({2, 3, 4}), 1);
                             }}};
const Op log_sum_exp_op{"log_sum_exp",
                        Case{"rows",
                             [](Samples& s) {
                               return log_sum_exp(s.normal({3, 5}), 1);
                             }},
                        Case{"columns, kept",
                             [](Samples& s) {
                               return log_sum_exp(s.normal({3, 5}), 0, Keep::yes);
                             }}
                            .without(Variant::zero_size, "the reduced axis would be empty")};

}  // namespace

Variable softmax(const Variable& x, int axis) {
  return softmax_op.record(kernels::softmax(x.value(), axis), {x},
                           [axis](const Variable& g, const Variable& y, const Wants&) -> Variables {
                             const Variable gy = g * y;
                             return {gy - y * sum(gy, {axis}, Keep::yes)};
                           });
}

Variable log_softmax(const Variable& x, int axis) {
  return log_softmax_op.record(
      kernels::log_softmax(x.value(), axis), {x},
      [axis](const Variable& g, const Variable& y, const Wants&) -> Variables {
        return {g - exp(y) * sum(g, {axis}, Keep::yes)};
      });
}

Variable log_sum_exp(const Variable& x, int axis, Keep keep) {
  const int at = x.value().axis("log_sum_exp", axis);
  return log_sum_exp_op.record(
      kernels::log_sum_exp(x.value(), at, keep), {x},
      [x = x.saved(), at, keep](const Variable& g, const Variable& y, const Wants&) -> Variables {
        const bool kept = keep == Keep::yes;
        return {(kept ? g : unsqueeze(g, at)) * exp(x.get() - (kept ? y : unsqueeze(y, at)))};
      });
}

}  // namespace likely
