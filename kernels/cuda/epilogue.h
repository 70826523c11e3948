// The activation of a product's or a convolution's sums: the formulas of the pointwise kernels.
#pragma once
#include "kernels/activation.h"
#include "kernels/cuda/device.h"
#include "kernels/formulas.h"

namespace likely::kernels::cuda {

template <class Problem, class T>
LIKELY_DEVICE T activated(const Problem& p, T x) {
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
  }
  return x;
}

}  // namespace likely::kernels::cuda
