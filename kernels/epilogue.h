// What a product or a convolution does to its finished sums before it writes them.
#pragma once
#include "kernels/activation.h"
#include "tensor/tensor.h"

namespace likely::kernels {

struct Epilogue {
  Tensor bias;  // a value a column, or a channel; undefined: none
  Activation activation = Activation::none;
  double slope = 0.2;  // of leaky_relu below zero
};

}  // namespace likely::kernels
