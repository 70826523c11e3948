#include <cmath>

#include "autograd/tape.h"
#include "kernels/copy.h"

namespace likely {
namespace {

thread_local Watch* innermost = nullptr;

void require_finite(const char* op, const char* what, int position, const Tensor& tensor) {
  if (!is_floating(tensor.dtype()) || tensor.is_meta())
    return;
  const std::vector<double> values = kernels::to_doubles(tensor);
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (std::isfinite(values[i]))
      continue;
    Shape index;
    auto rest = static_cast<std::int64_t>(i);
    for (int axis = tensor.rank() - 1; axis >= 0; --axis) {
      index = index.inserted(0, rest % tensor.size(axis));
      rest /= tensor.size(axis);
    }
    fail<Diverged>("{}: {} {} of shape {} is {} at {}.", op, what, position, tensor.shape(),
                   values[i], index);
  }
}

}  // namespace

Watch::Watch() : outer_(innermost) { innermost = this; }
Watch::~Watch() { innermost = outer_; }

void Watch::kink(const Tensor&) {}

void Watch::each(Watch* watch, const std::function<void(Watch&)>& tell) {
  if (!watch)
    return;
  each(watch->outer_, tell);
  tell(*watch);
}

void watch_value(const char* op, int output, Tensor& value) {
  Watch::each(innermost, [&](Watch& watch) { watch.value(op, output, value); });
}

void watch_gradient(const char* op, int input, Tensor& gradient) {
  Watch::each(innermost, [&](Watch& watch) { watch.gradient(op, input, gradient); });
}

void watch_kink(const Tensor& x) {
  Watch::each(innermost, [&](Watch& watch) { watch.kink(x); });
}

bool watched() { return innermost != nullptr; }

void FiniteCheck::value(const char* op, int output, Tensor& value) {
  require_finite(op, "output", output, value);
}

void FiniteCheck::gradient(const char* op, int input, Tensor& gradient) {
  require_finite(op, "the gradient of input", input, gradient);
}

}  // namespace likely
