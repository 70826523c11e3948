#include <algorithm>
#include <cmath>

#include "autograd/op.h"
#include "autograd/ops.h"
#include "kernels/copy.h"

namespace likely {

Samples::Samples(std::uint64_t seed, DType dtype, Device device, Variant variant)
    : numbers_(seed), dtype_(dtype), device_(device), variant_(variant) {}

Tensor Samples::values(const Shape& shape, const std::function<double()>& draw) {
  std::vector<double> numbers(static_cast<std::size_t>(shape.numel()));
  for (double& number : numbers)
    number = draw();
  return kernels::cast(Tensor::of(shape, numbers), dtype_).to(device_);
}

// A placed leaf replaces the drawn one; the numbers are drawn all the same, so that what follows is
// unchanged.
Variable Samples::leaf(const Shape& shape, const std::function<double()>& draw) {
  const Tensor drawn = values(shape, draw);
  const std::size_t which = leaves_.size();
  leaves_.push_back(which < placed_.size() ? placed_[which] : Variable::leaf(drawn));
  return leaves_.back();
}

Variable Samples::present(const Shape& shape, const std::function<double()>& draw) {
  const int rank = shape.rank();
  if (rank == 0)
    return leaf(shape, draw);
  switch (variant_) {
    case Variant::plain:
      return leaf(shape, draw);
    case Variant::strided:
      if (rank == 1)
        return slice(leaf({2 * shape[0]}, draw), 0, 0, 2 * shape[0], 2);
      return transpose(leaf(shape.with(-1, shape[-2]).with(-2, shape[-1]), draw));
    case Variant::offset:
      return slice(leaf(shape.with(0, shape[0] + 1), draw), 0, 1, shape[0] + 1);
    case Variant::broadcast:
      return expand(leaf(shape.with(0, 1), draw), shape);
    case Variant::zero_size:
      return leaf(shape.with(0, 0), draw);
  }
  fail("samples: unknown variant {}.", static_cast<int>(variant_));
}

Variable Samples::normal(const Shape& shape) {
  return present(shape, [this] { return numbers_.normal(); });
}

Variable Samples::uniform(const Shape& shape, double low, double high) {
  return present(shape, [=, this] { return low + (high - low) * numbers_.uniform(); });
}

Variable Samples::positive(const Shape& shape) { return uniform(shape, 0.5, 2.5); }

Variable Samples::away_from(const Shape& shape, const std::vector<double>& kinks) {
  return present(shape, [&, this] {
    for (;;) {
      const double x = numbers_.normal();
      if (std::all_of(kinks.begin(), kinks.end(),
                      [x](double kink) { return std::abs(x - kink) >= 0.05; }))
        return x;
    }
  });
}

Variable Samples::at(const Shape& shape, const std::vector<double>& values) {
  std::size_t next = 0;
  return leaf(shape, [&] { return values.at(next++); });
}

Tensor Samples::constant(const Shape& shape) {
  return values(empty_like(shape), [this] { return numbers_.normal(); });
}

Tensor Samples::integers(const Shape& shape, std::int64_t below) {
  const Shape drawn = empty_like(shape);
  std::vector<std::int64_t> numbers(static_cast<std::size_t>(drawn.numel()));
  for (std::int64_t& number : numbers)
    number = static_cast<std::int64_t>(numbers_.uniform() * static_cast<double>(below));
  return Tensor::of(drawn, numbers, device_);
}

Tensor Samples::index(const std::vector<std::int64_t>& values) {
  return Tensor::of({static_cast<std::int64_t>(values.size())}, values, device_);
}

Shape Samples::empty_like(const Shape& shape) const {
  return variant_ == Variant::zero_size && shape.rank() > 0 ? shape.with(0, 0) : shape;
}

}  // namespace likely
