#include "zoo/diffusion/table.h"

#include "kernels/copy.h"
#include "kernels/gather.h"

namespace likely {

Table::Table(std::int64_t steps, const std::function<double(std::int64_t)>& number) {
  std::vector<double> values;
  for (std::int64_t t = 1; t <= steps; ++t)
    values.push_back(number(t));
  rows_ = Tensor::of({steps}, values);
}

Tensor Table::at(const Tensor& step, DType dtype) const {
  const Device device = step.device();
  if (!there_.defined() || there_.device() != device)
    there_ = device.kind == Device::meta ? Tensor::empty(rows_.shape(), rows_.dtype(), device)
                                         : rows_.to(device);
  return kernels::cast(kernels::take(there_, step), dtype);
}

Variable Table::each(const Tensor& step, const Variable& x) const {
  Variable numbers = at(step, x.dtype());
  while (numbers.rank() < x.rank())
    numbers = unsqueeze(numbers, -1);
  return numbers;
}

}  // namespace likely
