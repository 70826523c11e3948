// The activation that ends a layer: Activation::relu, or {Activation::leaky_relu, 0.1}.
#pragma once
#include "autograd/ops.h"

namespace likely {

struct LayerActivation {
  Activation activation;
  double slope;  // of leaky_relu below zero
  LayerActivation(Activation activation = Activation::none, double slope = 0.2)
      : activation(activation), slope(slope) {}
};

}  // namespace likely
