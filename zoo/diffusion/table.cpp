#include "zoo/diffusion/table.h"

#include "kernels/copy.h"
#include "kernels/gather.h"

namespace likely {

Tensor Table::at(const Tensor& step, DType dtype) const {
  const Device device = step.device();
  if (!there_.defined() || there_.device() != device)
    there_ = device.kind == Device::meta ? Tensor::empty(rows_.shape(), rows_.dtype(), device)
                                         : rows_.to(device);
  return kernels::cast(kernels::take(there_, step), dtype);
}

}  // namespace likely
