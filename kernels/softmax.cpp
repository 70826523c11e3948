// The front of softmax, its logarithm and log-sum-exp: checks, and moves the axis last.
#include "kernels/softmax.h"

#include <limits>
#include <numeric>

#include "kernels/copy.h"

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
  launched({operation, 0, static_cast<double>(rows.bytes() + out.bytes())});
  if (!out.is_meta() && x.numel() > 0)
    softmax_family()
        .serving(x.device())
        .fill({kind, x.dtype(), x.numel() / x.size(-1), x.size(-1), rows.raw(), out.raw()});
  return out;
}

Tensor of_rows(const char* operation, SoftmaxKind kind, const Tensor& x, int axis) {
  const int at = checked_axis(operation, x, axis), last = x.rank() - 1;
  const Tensor rows = moved(x, at, last);
  return contiguous(moved(filled(operation, kind, rows, rows.shape()), last, at));
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
