#include "kernels/attention.h"

#include <cmath>
#include <limits>

#include "autograd/op.h"
#include "autograd/ops.h"
#include "kernels/copy.h"

namespace likely {
namespace {

Case attention_case(const char* name, std::int64_t queries, std::int64_t keys,
                    const AttentionOptions& how) {
  return Case{name, [=](Samples& s) {
                const Variable q = s.normal({2, queries, 2, 3}), k = s.normal({2, keys, 2, 3});
                return attention(q, k, s.normal({2, keys, 2, 3}), how);
              }};
}
const Op attention_op{"attention", attention_case("full", 4, 5, {}),
                      attention_case("causal", 4, 4, {.causal = true}),
                      attention_case("causal, the last queries", 2, 5, {.causal = true}),
                      attention_case("scaled", 3, 4, {.scale = 0.3})};

// -∞ where a query does not see a key, else 0.
Tensor blinds(std::int64_t queries, std::int64_t keys, const Variable& like) {
  std::vector<double> values;
  for (std::int64_t i = 0; i < queries; ++i)
    for (std::int64_t j = 0; j < keys; ++j)
      values.push_back(j <= i + keys - queries ? 0 : -std::numeric_limits<double>::infinity());
  return kernels::cast(Tensor::of({queries, keys}, values), like.dtype()).to(like.device());
}

Variable defined_as(const Variables& in, const AttentionOptions& how) {
  const auto heads = [](const Variable& x) { return permute(x, {0, 2, 1, 3}); };
  const Variable q = heads(in[0]), k = heads(in[1]);
  const double scale = how.scale.value_or(1 / std::sqrt(static_cast<double>(q.size(3))));
  Variable scores = matmul(q, transpose(k)) * scale;
  if (how.causal)
    scores = scores + blinds(q.size(2), k.size(2), q);
  return heads(matmul(softmax(scores, -1), heads(in[2])));
}

}  // namespace

Variable attention(const Variable& q, const Variable& k, const Variable& v,
                   const AttentionOptions& how) {
  const kernels::Attended y = kernels::attention(q.value(), k.value(), v.value(), how);
  const auto fast = [q = q.saved(), k = k.saved(), v = v.saved(), log_sum = y.log_sum, how](
                        const Tensors& g, const Tensors& out, const Wants&) -> Tensors {
    const kernels::AttentionGradients d = kernels::attention_gradients(
        g[0], {out[0], log_sum}, q.get().value(), k.get().value(), v.get().value(), how);
    return {d.q, d.k, d.v};
  };
  return attention_op.fused(
      {y.out}, {q, k, v}, fast,
      [how](const Variables& in) -> Variables { return {defined_as(in, how)}; }, true)[0];
}

}  // namespace likely
