#include "kernels/into.h"

#include <utility>

namespace likely::kernels {
namespace {

// The bytes of its storage that a tensor with elements may touch.
std::pair<std::int64_t, std::int64_t> reach(const Tensor& x) {
  std::int64_t low = x.offset(), high = x.offset();
  for (int axis = 0; axis < x.rank(); ++axis)
    (x.strides()[axis] < 0 ? low : high) += x.strides()[axis] * (x.size(axis) - 1);
  const std::int64_t size = static_cast<std::int64_t>(size_of(x.dtype()));
  return {low * size, (high + 1) * size};
}

bool overlap(const Tensor& x, const Tensor& y) {
  if (x.storage() != y.storage() || x.numel() == 0 || y.numel() == 0)
    return false;
  const auto [x_low, x_high] = reach(x);
  const auto [y_low, y_high] = reach(y);
  return x_low < y_high && y_low < x_high;
}

}  // namespace

Tensor result_in(const char* operation, const Into& into, const Shape& shape, const Tensor& like,
                 const std::vector<Tensor>& operands) {
  const Tensor& out = into.out;
  if (!out.defined()) {
    require(!into.add, "{}: there is nothing to add to. Give `out` or leave `add` away.",
            operation);
    return Tensor::empty(shape, like.dtype(), like.device());
  }
  require(out.shape() == shape && out.dtype() == like.dtype() && out.device() == like.device(),
          "{}: the result is {} {} on {}, `out` is {} {} on {}. Give a tensor that fits.",
          operation, shape, like.dtype(), like.device(), out.shape(), out.dtype(), out.device());
  for (int axis = 0; axis < out.rank(); ++axis)
    require(out.size(axis) <= 1 || out.strides()[axis] != 0,
            "{}: `out` is a stretched view: {} with strides {}. Give the tensor before expand().",
            operation, out.shape(), out.strides());
  for (const Tensor& operand : operands)
    require(!overlap(out, operand),
            "{}: `out` shares memory with an operand. Give it memory of its own.", operation);
  return out;
}

}  // namespace likely::kernels
