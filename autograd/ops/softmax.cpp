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

const Op categorical_log_prob_op{"categorical_log_prob",
                                 Case{"a class a row",
                                      [](Samples& s) {
                                        const Variable logits = s.normal({3, 5});
                                        return categorical_log_prob(logits, s.integers({3}, 5));
                                      }},
                                 Case{"more axes", [](Samples& s) {
                                        const Variable logits = s.normal({2, 3, 4});
                                        return categorical_log_prob(logits, s.integers({2, 3}, 4));
                                      }}};

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

Variable categorical_log_prob(const Variable& logits, const Tensor& index) {
  auto found = kernels::categorical_log_prob(logits.value(), index);
  const auto fast = [x = logits.saved(), index, log_sum_exp = found.log_sum_exp](
                        const Tensors& g, const Tensors&, const Wants&) -> Tensors {
    return {kernels::categorical_log_prob_gradient(g[0], x.get().value(), index, log_sum_exp)};
  };
  const auto definition = [index](const Variables& in) -> Variables {
    const Variable rows = reshape(log_softmax(in[0], -1), {index.numel(), in[0].size(-1)});
    return {reshape(pick(rows, index.reshape({index.numel()})), index.shape())};
  };
  return categorical_log_prob_op.fused({std::move(found.log_prob)}, {logits}, fast, definition,
                                       false)[0];
}

}  // namespace likely
