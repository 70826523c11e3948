// What begins and ends the sums of products and convolutions: operands as they are multiplied, and
// the activation, by the formulas of the pointwise kernels.
#pragma once
#include "kernels/activation.h"
#include "kernels/convert.h"
#include "kernels/cuda/device.h"
#include "kernels/formulas.h"

namespace likely::kernels::cuda {

// One operand of a multiply-add, in what sums are made of.
template <class T, bool tf32>
LIKELY_DEVICE Computed<T> operand(T x) {
  if constexpr (tf32)
    return __builtin_bit_cast(float, to_tf32(x));
  else
    return Computed<T>(x);
}

template <class Problem, class T>
LIKELY_DEVICE_SHARED T activated(const Problem& p, T x) {
  switch (p.activation) {
    case Activation::none:
      break;
    case Activation::relu:
      return Relu{}(x);
    case Activation::leaky_relu:
      return LeakyRelu{p.slope}(x);
    case Activation::tanh:
      return Tanh{}(x);
    case Activation::sigmoid:
      return Sigmoid{}(x);
    case Activation::silu:
      return Silu{}(x);
  }
  return x;
}

}  // namespace likely::kernels::cuda
