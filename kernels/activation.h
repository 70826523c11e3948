// Activations whose derivative follows from their value, so that nothing but y is kept.
#pragma once

namespace likely::kernels {

enum class Activation { none, relu, leaky_relu, tanh, sigmoid };

}  // namespace likely::kernels
