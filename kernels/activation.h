// Activations that end a product, a convolution or a normalisation.
#pragma once
#include "tensor/host_device.h"

namespace likely::kernels {

enum class Activation { none, relu, leaky_relu, tanh, sigmoid, silu };

// Whether the derivative follows from the value, so that nothing but y is kept. That of silu needs
// the argument, which normalisation computes again. So does that of leaky_relu where its slope is
// below 0 (or NaN): y is then positive on both sides.
LIKELY_HD constexpr bool slope_reads_value(Activation activation, double slope) {
  return activation != Activation::none && activation != Activation::silu &&
         (activation != Activation::leaky_relu || slope >= 0);
}

}  // namespace likely::kernels
