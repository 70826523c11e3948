// Variables with given values, on the device under test.
#pragma once
#include <vector>

#include "autograd/variable.h"
#include "kernels/copy.h"
#include "tests/device.h"

namespace likely {

inline Variable leaf(const Shape& shape, const std::vector<double>& values,
                     DType dtype = DType::f64) {
  return Variable::leaf(kernels::cast(Tensor::of(shape, values), dtype).to(device_under_test()));
}

}  // namespace likely
