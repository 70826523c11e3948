// The front of softmax, its logarithm and log-sum-exp: checks, and moves the axis last.
#include "kernels/softmax.h"

#include <algorithm>
#include <limits>
#include <numeric>

#include "kernels/copy.h"
#include "kernels/softmax_fastest.h"

namespace likely::kernels {
namespace {

int checked_axis(const char* operation, const Tensor& x, int axis) {
  require(x.defined(), "{}: the tensor is undefined.", operation);
  require(is_floating(x.dtype()),
          "{}: {} has no exponentials: only floating-point types have. Use cast() first.",
          operation, x.dtype());
  return x.axis(operation, axis);
}

// x with the axis moved from one place to another.
Tensor moved(const Tensor& x, int from, int to) {
  std::vector<int> order(static_cast<std::size_t>(x.rank()));
  std::iota(order.begin(), order.end(), 0);
  order.erase(order.begin() + from);
  order.insert(order.begin() + to, from);
  return x.permute(order);
}

// x has the axis last.
Tensor filled(const char* operation, SoftmaxKind kind, const Tensor& x, const Shape& shape) {
  const Tensor rows = contiguous(x);
  const Tensor out = Tensor::empty(shape, x.dtype(), x.device());
  SoftmaxProblem problem{kind, x.dtype(), 0, x.size(-1), nullptr, nullptr};
  problem.rows = x.numel() / std::max<std::int64_t>(problem.columns, 1);
  const bool nothing = out.is_meta() || x.numel() == 0;
  if (!nothing) {
    problem.x = rows.raw();
    problem.out = out.raw();
  }
  const SoftmaxBackend& backend = softmax_family().serving(x.device(), problem, fastest_softmax);
  launched({backend.serves ? backend.name : operation, 0,
            static_cast<double>(rows.bytes() + out.bytes())});
  if (nothing)
    return out;
  backend.fill(problem);
  return out;
}

Tensor of_rows(const char* operation, SoftmaxKind kind, const Tensor& x, int axis) {
  const int at = checked_axis(operation, x, axis), last = x.rank() - 1;
  const Tensor rows = moved(x, at, last);
  return contiguous(moved(filled(operation, kind, rows, rows.shape()), last, at));
}

// Logits whose last axis is classes.
Tensor checked_rows(const char* operation, const Tensor& logits) {
  checked_axis(operation, logits, -1);
  require(logits.size(-1) > 0, "{}: {} has no classes. Give logits [..., classes].", operation,
          logits.shape());
  return contiguous(logits);
}

void check_index(const char* operation, const Tensor& logits, const Tensor& index) {
  require(index.dtype() == DType::i64 && index.device() == logits.device() &&
              index.shape() == logits.shape().without(logits.rank() - 1),
          "{}: the index is {} {} on {} for logits {} on {}. Give i64, one for each row.",
          operation, index.shape(), index.dtype(), index.device(), logits.shape(), logits.device());
}

}  // namespace

Family<SoftmaxBackend>& softmax_family() {
  static Family<SoftmaxBackend> family("softmax");
  return family;
}

Tensor softmax(const Tensor& x, int axis) {
  return of_rows("softmax", SoftmaxKind::softmax, x, axis);
}

Tensor log_softmax(const Tensor& x, int axis) {
  return of_rows("log_softmax", SoftmaxKind::log_softmax, x, axis);
}

CategoricalLogProb categorical_log_prob(const Tensor& logits, const Tensor& index) {
  const Tensor x = checked_rows("categorical_log_prob", logits), at = contiguous(index);
  check_index("categorical_log_prob", x, at);
  const CategoricalLogProb out{
      Tensor::empty(at.shape(), x.dtype(), x.device()),
      Tensor::empty(at.shape(), x.dtype() == DType::bf16 ? DType::f32 : x.dtype(), x.device())};
  launched({"categorical_log_prob", 0,
            static_cast<double>(x.bytes() + at.bytes() + out.log_prob.bytes() +
                                out.log_sum_exp.bytes())});
  if (!x.is_meta() && at.numel() > 0)
    softmax_family()
        .own(x.device())
        .fill({SoftmaxKind::log_prob, x.dtype(), at.numel(), x.size(-1), x.raw(),
               out.log_prob.raw(), at.data<std::int64_t>(), out.log_sum_exp.raw()});
  return out;
}

Tensor categorical_log_prob_gradient(const Tensor& g, const Tensor& logits, const Tensor& index,
                                     const Tensor& log_sum_exp) {
  const Tensor x = contiguous(logits), at = contiguous(index), of_rows = contiguous(g);
  const Tensor out = Tensor::empty(x.shape(), x.dtype(), x.device());
  launched(
      {"categorical_log_prob_gradient", 0,
       static_cast<double>(2 * out.bytes() + at.bytes() + of_rows.bytes() + log_sum_exp.bytes())});
  if (!x.is_meta() && x.numel() > 0)
    softmax_family()
        .own(x.device())
        .log_prob_gradient({x.dtype(), at.numel(), x.size(-1), of_rows.raw(), x.raw(),
                            at.data<std::int64_t>(), log_sum_exp.raw(), out.raw()});
  return out;
}

Tensor categorical(const Tensor& logits, const Draw& draw) {
  const Tensor x = checked_rows("categorical", logits);
  require(draw.state.defined() && draw.state.device() == x.device(),
          "categorical: the logits are on {}, the step state is {}. Use Random::draw().",
          x.device(),
          draw.state.defined() ? fmt::format("on {}", draw.state.device()) : "undefined");
  require(x.numel() <= std::int64_t{1} << 34,
          "categorical: {} needs more random words than one draw has, 2^34. Make several draws.",
          x.shape());
  const Tensor out = Tensor::empty(x.shape().without(x.rank() - 1), DType::i64, x.device());
  launched({"categorical", 0, static_cast<double>(x.bytes() + out.bytes())});
  if (!x.is_meta() && out.numel() > 0)
    softmax_family()
        .own(x.device())
        .sample({x.dtype(), out.numel(), x.size(-1), x.raw(), draw.state.raw(), draw.purpose,
                 draw.index, out.data<std::int64_t>()});
  return out;
}

Tensor log_sum_exp(const Tensor& x, int axis, Keep keep) {
  const int at = checked_axis("log_sum_exp", x, axis);
  const Shape shape = x.shape().without(at);
  const Tensor out =
      x.size(at) == 0
          ? full(shape, -std::numeric_limits<double>::infinity(), x.dtype(), x.device())
          : filled("log_sum_exp", SoftmaxKind::log_sum_exp, moved(x, at, x.rank() - 1), shape);
  return keep == Keep::yes ? out.unsqueeze(at) : out;
}

}  // namespace likely::kernels
