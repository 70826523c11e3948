// Activations of numbers, by their definitions.
#pragma once
#include <cmath>

#include "kernels/activation.h"

namespace likely {

inline double activated(kernels::Activation activation, double slope, double x) {
  using kernels::Activation;
  switch (activation) {
    case Activation::none:
      return x;
    case Activation::relu:
      return x > 0 ? x : 0;
    case Activation::leaky_relu:
      return x > 0 ? x : slope * x;
    case Activation::tanh:
      return std::tanh(x);
    case Activation::sigmoid:
      return 1 / (1 + std::exp(-x));
    case Activation::silu:
      return x / (1 + std::exp(-x));
  }
  return 0;
}

}  // namespace likely
