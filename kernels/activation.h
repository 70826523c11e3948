// Activations that end a product, a convolution or a normalisation.
#pragma once
#include "tensor/host_device.h"

namespace likely::kernels {

enum class Activation { none, relu, leaky_relu, tanh, sigmoid, silu };

// Whether the derivative follows from the value, so that nothing but y is kept. That of silu needs
// the argument, which normalisation computes again; products and convolutions have no gradient
// then.
LIKELY_HD constexpr bool slope_reads_value(Activation activation) {
  return activation != Activation::none && activation != Activation::silu;
}

}  // namespace likely::kernels
